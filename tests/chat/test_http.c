/* Requests over real sockets to a service on this machine that misbehaves (tests/servers/chat_server.py): rows H01 to H17 of what may go wrong. */
#define _GNU_SOURCE
#include "support/support.h"

#include "chat/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <pthread.h>
#include <unistd.h>

#define KEY "SENTINEL-9f3a/7c21d0b84e65" /* with a sign that JSON may escape */

static ts_runtime *runtime;
static char logged[1 << 16];

typedef struct server {
    pid_t process;
    int input;
    int port;
} server;

static server the_server;

/* Starts a server with up to four arguments; port 0: there is no Python. */
static server start_server(const char *const *arguments)
{
    int in[2], out[2];
    char line[32] = "";
    assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        const char *all[8] = {"python3", TS_SERVERS "/chat_server.py"};
        for (size_t i = 0; arguments && arguments[i]; i++)
            all[2 + i] = arguments[i];
        execvp("python3", (char *const *)all);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    for (size_t used = 0; used + 1 < sizeof line && !strchr(line, '\n');) { /* it may come in pieces */
        ssize_t size = read(out[0], line + used, sizeof line - 1 - used);
        if (size <= 0)
            break;
        used += (size_t)size;
    }
    close(out[0]);
    return (server){child, in[1], atoi(line)};
}

static void stop_server(server *s)
{
    close(s->input);
    waitpid(s->process, NULL, 0);
}

static void keep_log(void *user, int32_t level, const char *line)
{
    (void)user, (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 1);
}

static int set_up(void **state)
{
    ts_runtime_options options;
    ts_runtime_options_init(&options, sizeof options);
    options.log = keep_log;
    the_server = start_server(NULL);
    return ts_runtime_new(&runtime, &options) != TS_OK || make_folder(state);
}

static int tear_down(void **state)
{
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    stop_server(&the_server);
    return remove_folder(state) || left != 0;
}

static void need_server(void)
{
    if (the_server.port == 0)
        skip();
}

static ts_status write_prompt(void *user, uint64_t job, ts_bytes *prompt)
{
    (void)user;
    return ts_bytes_format(prompt, "Use \"run\", \"dog\" and \"big\" in story %llu", (unsigned long long)job);
}

static ts_chat_options options_of(const char *scheme, int port, const char *settings)
{
    static char url[300];
    ts_chat_options options;
    assert_ok(ts_chat_options_init(&options, sizeof options));
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/%s", scheme, port, settings);
    options.base_url = url;
    options.model = "m";
    options.key = KEY;
    options.journal = in_work("journal");
    options.total_seconds = 20;
    return options;
}

/* Asks for so many stories with a new journal. */
static ts_status ask(const ts_chat_options *options, uint64_t count, ts_chat_report *report, char first[256])
{
    ts_chat *chat;
    unlink(options->journal);
    ts_status status = ts_chat_open(&chat, runtime, options, TS_CHAT_CONVERSATION, 1);
    if (status != TS_OK)
        return status;
    ts_chat_jobs jobs = {.first = 0, .count = count, .step = 1, .prompt = write_prompt};
    status = ts_chat_run(chat, &jobs, NULL, NULL);
    ts_chat_totals(chat, report);
    if (ts_chat_answer_of(chat, 0) == TS_CHAT_TEXT && first) {
        ts_bytes text = {.runtime = runtime};
        assert_ok(ts_chat_text(chat, 0, &text));
        snprintf(first, 256, "%s", text.data);
        ts_bytes_free(&text);
    }
    ts_chat_close(chat);
    return status;
}

/* ---- secrets ---- */

/* A secret that stands in a text; NULL: none. */
static const char *secret_in(const char *text, size_t size)
{
    static const char *const secrets[] = {KEY, "SENTINEL-9f3", "c21d0b84e65", "Bearer S", "U0VOVElORUwt"};
    for (size_t i = 0; i < TS_COUNT_OF(secrets); i++)
        if (memmem(text, size, secrets[i], strlen(secrets[i])))
            return secrets[i];
    return NULL;
}

/* Where a secret was left: in the journal, the error detail or the log; NULL: nowhere. */
static const char *place_of_secret(const char *journal)
{
    size_t size;
    char *text = read_file(journal, &size);
    const char *found = secret_in(text, size) ? "the journal" : NULL;
    free(text);
    if (secret_in(ts_error_detail(), strlen(ts_error_detail())))
        found = "the error detail";
    return secret_in(logged, strlen(logged)) ? "the log" : found;
}

/* ---- one row after another: faults, what comes of three stories ---- */

typedef struct row {
    const char *faults;
    ts_status status;
    uint64_t answered, requests; /* requests 0: no matter */
    const char *detail;
    double total;         /* seconds, 0: long */
    double silent;        /* above 0: a stream is asked for, which may be silent for so long */
    bool doubt;           /* each may have been paid twice */
} row;

/* What is wrong with a row, "" if nothing is. Called in a process of its own, where cmocka's assertions do not work. */
static void check_row(const row *r, char problem[1024])
{
    char settings[200], text[256] = "";
    ts_chat_report report;
    const char *secret;
    snprintf(settings, sizeof settings, "ledger=row%d;faults=%s", (int)getpid(), r->faults);
    ts_chat_options options = options_of("http", the_server.port, settings);
    options.journal = in_work(settings + 7);
    options.in_flight = 3;
    options.attempts = 3;
    options.total_seconds = r->total > 0 ? r->total : 20;
    options.stream = r->silent > 0;
    options.silent_seconds = r->silent > 0 ? r->silent : 1; /* no matter to a reply that is no stream */
    ts_status status = ask(&options, 3, &report, text);
    if (status != r->status)
        snprintf(problem, 1024, "%s, expected %s: %s", ts_status_name(status), ts_status_name(r->status), ts_error_detail());
    else if (r->detail && !strstr(ts_error_detail(), r->detail))
        snprintf(problem, 1024, "'%s' is not in '%s'", r->detail, ts_error_detail());
    else if (report.answered != r->answered || (r->requests > 0 && report.requests != r->requests))
        snprintf(problem, 1024, "%llu answered, %llu requests", (unsigned long long)report.answered, (unsigned long long)report.requests);
    else if (report.possibly_paid_twice != (r->doubt ? 3 : 0))
        snprintf(problem, 1024, "%llu possibly paid twice", (unsigned long long)report.possibly_paid_twice);
    else if (r->answered > 0 && r->status == TS_OK && strncmp(r->faults, "echo", 4) != 0 && !strstr(text, "dog") && !strstr(text, "word"))
        snprintf(problem, 1024, "the story is '%s'", text);
    else if ((secret = place_of_secret(options.journal)) != NULL)
        snprintf(problem, 1024, "the key is in %s", secret);
    else if (ts_runtime_memory(runtime) != 0)
        snprintf(problem, 1024, "%llu bytes are left", (unsigned long long)ts_runtime_memory(runtime));
}

static pid_t start_row(const row *r)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char problem[1024] = "";
        alarm(60);
        check_row(r, problem);
        if (problem[0])
            fprintf(stderr, "%s: %s\n", r->faults, problem);
        _exit(problem[0] != 0);
    }
    return child;
}

/* All rows at once: most of their time is waiting. */
static void check_rows(const row *rows, size_t count)
{
    pid_t children[64];
    int status, failed = 0;
    need_server();
    assert_true(count <= TS_COUNT_OF(children));
    count_cases(count);
    for (size_t i = 0; i < count; i++)
        children[i] = start_row(&rows[i]);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        if (!WIFEXITED(status))
            fprintf(stderr, "%s: signal %d\n", rows[i].faults, WTERMSIG(status));
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    assert_int_equal(failed, 0);
}

static void h01_to_h03_statuses(void **state)
{
    (void)state;
    static const row rows[] = {
        {"ok", TS_OK, 3, 3, NULL, 0, 0, false},
        {"429,ok", TS_OK, 3, 6, NULL, 0, 0, false},
        {"429.1,429ms,429date,ok", TS_OK, 3, 12, NULL, 0, 0, false},
        {"429bad,ok", TS_OK, 3, 6, NULL, 0, 0, false},
        {"500,502,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"503,529,ok", TS_OK, 3, 9, NULL, 0, 0, false},
        {"504,408,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"409,loading,ok", TS_OK, 3, 9, NULL, 0, 0, false},
        {"503", TS_ERROR_NETWORK, 0, 0, "given up after 3 attempts: HTTP 503", 0, 0, false},
        {"noretry", TS_ERROR_NETWORK, 0, 3, "never again", 0, 0, false},
        {"400", TS_ERROR_NETWORK, 0, 3, "takes none of the requests: HTTP 400", 0, 0, false},
        {"401", TS_ERROR_NETWORK, 0, 3, "HTTP 401 (invalid_request_error): it will not do", 0, 0, false},
        {"402", TS_ERROR_NETWORK, 0, 3, "HTTP 402", 0, 0, false},
        {"403", TS_ERROR_NETWORK, 0, 3, "HTTP 403", 0, 0, false},
        {"404", TS_ERROR_NETWORK, 0, 3, "HTTP 404", 0, 0, false},
        {"405", TS_ERROR_NETWORK, 0, 3, "HTTP 405", 0, 0, false},
        {"413", TS_ERROR_NETWORK, 0, 3, "takes none of the requests: HTTP 413", 0, 0, false},
        {"422", TS_ERROR_NETWORK, 0, 3, "takes none of the requests: HTTP 422", 0, 0, false},
        {"quota", TS_ERROR_NETWORK, 0, 3, "insufficient_quota", 0, 0, false},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

static void h04_redirects(void **state)
{
    (void)state;
    static const row rows[] = {
        {"redirect301", TS_ERROR_NETWORK, 0, 3, "HTTP 301, a redirect, which is not followed", 0, 0, false},
        {"redirect302", TS_ERROR_NETWORK, 0, 3, "HTTP 302, a redirect", 0, 0, false},
        {"redirect307", TS_ERROR_NETWORK, 0, 3, "HTTP 307, a redirect", 0, 0, false},
        {"redirect308", TS_ERROR_NETWORK, 0, 3, "HTTP 308, a redirect", 0, 0, false},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

static void h05_and_h06_connections(void **state)
{
    (void)state;
    static const row rows[] = {
        {"reset,ok", TS_OK, 3, 6, NULL, 0, 0, true},        {"close,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"closehead,ok", TS_OK, 3, 6, NULL, 0, 0, true},    {"closebody,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"resetbody,ok", TS_OK, 3, 6, NULL, 0, 0, true},    {"closenolength,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"nolength", TS_OK, 3, 3, NULL, 0, 0, false},       {"silent,ok", TS_OK, 3, 6, NULL, 0.5, 0, true},
        {"silenthead,ok", TS_OK, 3, 6, NULL, 0.5, 0, true}, {"silentbody,ok", TS_OK, 3, 6, NULL, 0.5, 0, true},
        {"drip,ok", TS_OK, 3, 6, NULL, 1, 0, true},         {"silent,ok", TS_OK, 3, 6, NULL, 0, 1, true},
        {"resetunpaid,ok", TS_OK, 3, 6, NULL, 0, 0, true}, /* nobody can know that it was not paid */
        {"late", TS_OK, 3, 3, NULL, 0, 0, false}, /* silent until it is done */
        {"late,ok", TS_OK, 3, 6, NULL, 0, 1, true},
        {"bytes", TS_OK, 3, 3, NULL, 0, 0, false},          {"continue", TS_OK, 3, 3, NULL, 0, 0, false},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

static void h07_and_h08_sizes(void **state)
{
    (void)state;
    static const row rows[] = {
        {"huge,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"hugelength,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"negative,ok", TS_OK, 3, 0, NULL, 4, 0, true},
        {"longlength,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"shortlength,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"twolengths,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"badchunks,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"chunks", TS_OK, 3, 3, NULL, 0, 0, false},
        {"manyheaders,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"longheader,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"nothttp,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"gzip,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"huge", TS_ERROR_NETWORK, 0, 0, "16 MiB", 0, 0, true},
        {"longheader", TS_ERROR_NETWORK, 0, 0, "64 KiB", 0, 0, true},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

static void h09_to_h11_replies(void **state)
{
    (void)state;
    static const row rows[] = {
        {"html,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"empty,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"null,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"blank,badutf8,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"nul,surrogate,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"deep,digits,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"choices0,two,ok", TS_OK, 3, 9, NULL, 0, 0, true},
        {"manychoices,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"error200,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"stream", TS_OK, 3, 3, NULL, 0, 0, false},
        {"stream", TS_OK, 3, 3, NULL, 0, 9, false},
        {"ok", TS_OK, 3, 3, NULL, 0, 9, false}, /* asked for, and not given */
        {"streamcrlf", TS_OK, 3, 3, NULL, 0, 9, false},
        {"streambytes", TS_OK, 3, 3, NULL, 0, 9, false},
        {"streamtwice", TS_OK, 3, 3, NULL, 0, 9, false},
        {"streamnodone", TS_OK, 3, 3, NULL, 0, 0, false},
        {"streamcut,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"refusal", TS_OK, 0, 3, NULL, 0, 0, false},
        {"filter", TS_OK, 0, 3, NULL, 0, 0, false},
        {"filter400", TS_OK, 0, 3, NULL, 0, 0, false},
        {"length", TS_OK, 0, 3, NULL, 0, 0, false},
        {"long", TS_OK, 3, 3, NULL, 0, 0, false},
        {"nousage", TS_OK, 3, 3, NULL, 0, 0, false},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

static void h17_keys_that_are_repeated(void **state)
{
    (void)state;
    static const row rows[] = {
        {"echo401", TS_ERROR_NETWORK, 0, 3, "Incorrect API key provided: Bearer ****", 0, 0, false},
        {"echo500", TS_ERROR_NETWORK, 0, 0, "Incorrect API key provided: Bearer ****", 0, 0, true},
        {"echo200", TS_OK, 3, 3, NULL, 0, 0, false},
        {"echostream", TS_OK, 3, 3, NULL, 0, 0, false}, /* in pieces too short to be known */
        {"echoescaped", TS_OK, 3, 3, NULL, 0, 0, false},
        {"echoescaped401", TS_ERROR_NETWORK, 0, 3, "Incorrect API key provided: Bearer ****", 0, 0, false},
        {"echokeys,ok", TS_OK, 3, 6, NULL, 0, 0, true},
        {"echofinish", TS_OK, 3, 3, NULL, 0, 0, false},
    };
    check_rows(rows, TS_COUNT_OF(rows));
}

/* ---- single cases ---- */

static void h13_nobody_there(void **state)
{
    (void)state;
    need_server();
    ts_chat_report report;
    server gone = start_server(NULL);
    stop_server(&gone);
    ts_chat_options options = options_of("http", gone.port, "x");
    options.attempts = 2;
    assert_status(ask(&options, 3, &report, NULL), TS_ERROR_NETWORK);
    assert_detail("given up after 2 attempts");
    assert_int_equal(report.possibly_paid_twice + report.unknown, 0); /* nothing was sent */
    options.base_url = "https://no-such-host.invalid/v1";
    assert_status(ask(&options, 1, &report, NULL), TS_ERROR_NETWORK);
    assert_int_equal(report.possibly_paid_twice + report.unknown, 0);
    char url[100]; /* a name of several addresses, of which one has a service */
    snprintf(url, sizeof url, "http://localhost:%d/ledger=names", the_server.port);
    options.base_url = url;
    assert_ok(ask(&options, 3, &report, NULL));
    assert_int_equal(report.answered, 3);
    count_cases(3);
}

/* A resolver that does not answer for a long time; in place of libc's, for one name. */
#define SILENT_NAME "silent.invalid"
#define SILENCE 6 /* seconds */

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*others)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (node && strcmp(node, SILENT_NAME) == 0) {
        sleep(SILENCE);
        return EAI_AGAIN;
    }
    *(void **)&others = dlsym(RTLD_NEXT, "getaddrinfo");
    return others(node, service, hints, found);
}

static int32_t give_up(void *user, uint64_t done, uint64_t total)
{
    const double *until = user;
    (void)done, (void)total;
    return ts_clock() >= *until ? 2 : 0;
}

static void h13_a_resolver_that_does_not_answer(void **state)
{
    (void)state;
    ts_chat_report report;
    if (curl_version_info(CURLVERSION_NOW)->version_num < 0x075700)
        skip(); /* it waits for its threads */
    ts_chat_options options = options_of("http", 1, "x");
    double began = ts_clock();
    options.base_url = "https://" SILENT_NAME "/v1";
    options.attempts = 1;
    options.connect_seconds = 0.5;
    assert_status(ask(&options, 2, &report, NULL), TS_ERROR_NETWORK);
    assert_true(ts_clock() - began < SILENCE / 2.0); /* it ended by connect_seconds */
    assert_int_equal(report.possibly_paid_twice + report.unknown, 0);
    options.connect_seconds = 60;
    ts_chat *chat;
    unlink(options.journal);
    assert_ok(ts_chat_open(&chat, runtime, &options, TS_CHAT_CONVERSATION, 1));
    began = ts_clock();
    double until = began + 0.5;
    ts_chat_jobs jobs = {.first = 0, .count = 2, .step = 1, .prompt = write_prompt};
    assert_status(ts_chat_run(chat, &jobs, give_up, &until), TS_ERROR_CANCELLED);
    ts_chat_close(chat);
    assert_true(ts_clock() - began < SILENCE / 2.0); /* nor is it waited for when the run is given up */
    count_cases(2);
}

static void h15_the_environment_is_not_asked(void **state)
{
    (void)state;
    need_server();
    ts_chat_report report;
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"};
    for (size_t i = 0; i < TS_COUNT_OF(names); i++)
        setenv(names[i], "http://127.0.0.1:1/", 1);
    ts_chat_options options = options_of("http", the_server.port, "ledger=proxy");
    ts_status status = ask(&options, 3, &report, NULL);
    for (size_t i = 0; i < TS_COUNT_OF(names); i++)
        unsetenv(names[i]);
    assert_int_equal(status, TS_OK);
    options.proxy = "http://127.0.0.1:1/"; /* that one is */
    options.attempts = 1;
    assert_status(ask(&options, 3, &report, NULL), TS_ERROR_INVALID_ARGUMENT); /* it would see the key */
    assert_detail("proxy");
    options.key = NULL;
    assert_status(ask(&options, 3, &report, NULL), TS_ERROR_NETWORK);
    count_cases(3);
}

static void h18_keys(void **state)
{
    (void)state;
    need_server();
    ts_chat_report report;
    static const char *const wrong[] = {"", "a\nb", "a\r\nX-Evil: 1", "a b", "k\xc3\xa9y", "\t"};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++) {
        ts_chat_options options = options_of("http", the_server.port, "ledger=keys");
        options.key = wrong[i];
        assert_status(ask(&options, 1, &report, NULL), TS_ERROR_INVALID_ARGUMENT);
        assert_detail("key");
    }
    ts_chat_options options = options_of("http", the_server.port, "ledger=keys");
    options.key = NULL;
    options.key_file = put_file("key", "  " KEY "\n", sizeof KEY + 2);
    for (unsigned mode = 0600; mode <= 0644; mode += 044) { /* h17: what others may read is told */
        logged[0] = 0;
        assert_int_equal(chmod(options.key_file, mode), 0);
        assert_ok(ask(&options, 1, &report, NULL));
        assert_true((strstr(logged, "others may read this key, its mode is 644") != NULL) == (mode == 0644));
        assert_null(place_of_secret(options.journal));
    }
    count_cases(TS_COUNT_OF(wrong) + 6);
    options.key_file = put_file("key", "\n", 1);
    assert_status(ask(&options, 1, &report, NULL), TS_ERROR_FORMAT);
    options.key_file = "/nonexistent";
    assert_status(ask(&options, 1, &report, NULL), TS_ERROR_IO);
    options = options_of("http", the_server.port, "ledger=keys");
    options.base_url = "http://192.0.2.1/v1"; /* a key in the open */
    assert_status(ask(&options, 1, &report, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("plain http");
}

/* A connection that was used before and breaks before a reply: libcurl would send the request again by itself, unseen; here it is counted. */
static void h05_reused_connections(void **state)
{
    (void)state;
    need_server();
    ts_chat_report report;
    static const char *const settings[] = {"ledger=reused1;faults=close,ok", "ledger=reused2;faults=reset,ok"};
    for (size_t i = 0; i < TS_COUNT_OF(settings); i++) {
        ts_chat_options options = options_of("http", the_server.port, settings[i]);
        options.in_flight = 1;
        assert_ok(ask(&options, 2, &report, NULL));
        assert_int_equal(report.requests, 4);
        assert_int_equal(report.possibly_paid_twice, 2);
    }
    count_cases(2);
}

/* What the kernel would end the process for stays the host's affair: the action is the default one here. */
static void h14_signals_stay_as_they_are(void **state)
{
    (void)state;
    need_server();
    ts_chat_report report;
    struct sigaction before, after;
    sigset_t mask_before, mask_after;
    sigaction(SIGPIPE, NULL, &before);
    pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
    ts_chat_options options = options_of("http", the_server.port, "ledger=pipe;faults=reset,close,ok");
    assert_ok(ask(&options, 20, &report, NULL));
    sigaction(SIGPIPE, NULL, &after);
    pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
    assert_true(before.sa_handler == SIG_DFL && after.sa_handler == SIG_DFL);
    assert_int_equal(sigismember(&mask_before, SIGPIPE), sigismember(&mask_after, SIGPIPE));
    count_cases(1);
}

static bool make_certificate(const char *name, const char *subject, const char *days)
{
    char command[600];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -addext subjectAltName=%s -days %s -keyout %s/%s.key -out %s/%s.pem 2>/dev/null",
             subject, days, work_folder(), name, work_folder(), name);
    return system(command) == 0;
}

/* Over TLS too, where libraries write of themselves: to a connection that the service has reset, when it is used again and when it is closed. */
static void h14_no_signal_over_tls(void **state)
{
    (void)state;
    need_server();
    static const char *const faults[] = {"reset,close,ok", "okreset", "closebody,ok", "silentbody,ok"};
    if (!make_certificate("good", "IP:127.0.0.1", "2"))
        skip();
    const char *const arguments[] = {"--tls", in_work("good.pem"), in_work("good.key"), NULL};
    server tls = start_server(arguments);
    for (size_t i = 0; i < TS_COUNT_OF(faults); i++) {
        char settings[100];
        int status;
        snprintf(settings, sizeof settings, "ledger=tls%zu;faults=%s", i, faults[i]);
        pid_t child = fork(); /* which such a signal would end */
        if (child == 0) {
            ts_chat_report report;
            ts_chat_options options = options_of("https", tls.port, settings);
            signal(SIGPIPE, SIG_DFL);
            alarm(60);
            options.ca_file = in_work("good.pem");
            options.total_seconds = 2;
            _exit(ask(&options, 6, &report, NULL) == TS_OK && report.answered == 6 ? 0 : 1);
        }
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status %x: %s", faults[i], (unsigned)status, ts_error_detail());
    }
    stop_server(&tls);
    count_cases(TS_COUNT_OF(faults));
}

typedef struct first_client {
    ts_chat_options options;
    char journal[300];
    pthread_barrier_t *barrier;
    bool by_host;
    ts_status status;
    uint64_t answered;
} first_client;

static void *use_first_client(void *user)
{
    first_client *f = user;
    ts_runtime *own;
    ts_chat *chat;
    ts_chat_report report;
    ts_chat_jobs jobs = {.first = 0, .count = 2, .step = 1, .prompt = write_prompt};
    pthread_barrier_wait(f->barrier);
    if (f->by_host)
        curl_global_init(CURL_GLOBAL_DEFAULT);
    f->status = ts_runtime_new(&own, NULL);
    if (f->status != TS_OK)
        return NULL;
    f->status = ts_chat_open(&chat, own, &f->options, TS_CHAT_CONVERSATION, 1);
    if (f->status == TS_OK) {
        f->status = ts_chat_run(chat, &jobs, NULL, NULL);
        ts_chat_totals(chat, &report);
        f->answered = report.answered;
        ts_chat_close(chat);
    }
    ts_runtime_free(own);
    return NULL;
}

/* The first clients of a process, all at once, while some of its threads initialize libcurl too. Runs before any other test. */
static void h16_first_clients_in_many_threads(void **state)
{
    (void)state;
    need_server();
    enum { THREADS = 32 };
    static first_client clients[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        clients[i] = (first_client){.options = options_of("http", the_server.port, "ledger=first"), .barrier = &barrier, .by_host = i % 4 == 0};
        snprintf(clients[i].journal, sizeof clients[i].journal, "%s/first%d", work_folder(), i);
        clients[i].options.journal = clients[i].journal;
        assert_int_equal(pthread_create(&threads[i], NULL, use_first_client, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(clients[i].status, TS_OK);
        assert_int_equal(clients[i].answered, 2);
    }
    count_cases(2);
}

static void h16_forks(void **state)
{
    (void)state;
    need_server();
    ts_chat *chat;
    ts_chat_options options = options_of("http", the_server.port, "ledger=fork");
    ts_chat_jobs jobs = {.first = 0, .count = 2, .step = 1, .prompt = write_prompt};
    unlink(options.journal);
    assert_ok(ts_chat_open(&chat, runtime, &options, TS_CHAT_CONVERSATION, 1));
    assert_ok(ts_chat_run(chat, &jobs, NULL, NULL));
    pid_t child = fork();
    if (child == 0) {
        jobs.count = 4;
        ts_status status = ts_chat_run(chat, &jobs, NULL, NULL);
        _exit(status == TS_ERROR_UNSUPPORTED && strstr(ts_error_detail(), "fork") ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ts_chat_close(chat);
    count_cases(1);
}

/* ---- h05, h12, h15: somebody who listens and is no service ---- */

static int listen_somewhere(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0 && bind(file, (struct sockaddr *)&address, sizeof address) == 0 && listen(file, 4) == 0 &&
                getsockname(file, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return file;
}

/* The kernel takes the connection, and nobody ever reads: a request that went out is of unknown outcome, a handshake that hangs has shown nothing. */
static void h05_and_h12_nobody_reads(void **state)
{
    (void)state;
    need_server();
    for (int secure = 0; secure < 2; secure++) {
        ts_chat_report report;
        unsigned port;
        int listener = listen_somewhere(&port);
        double began = ts_clock();
        ts_chat_options options = options_of(secure ? "https" : "http", (int)port, "x");
        options.attempts = 1;
        options.connect_seconds = 0.3;
        options.total_seconds = 0.6;
        assert_status(ask(&options, 2, &report, NULL), TS_ERROR_NETWORK);
        assert_true(ts_clock() - began < 10);
        assert_int_equal(report.unknown, secure ? 0 : 2);
        close(listener);
    }
    count_cases(2);
}

/* A proxy is asked for a way to the service, and never sees the key. What it says of itself is no reply of the service's. */
static void h15_proxies_never_see_the_key(void **state)
{
    (void)state;
    need_server();
    static const char *const replies[] = {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\n\r\n<html>Log in</html>", "<html>"};
    for (size_t i = 0; i < TS_COUNT_OF(replies); i++) {
        ts_chat_report report;
        unsigned port;
        int listener = listen_somewhere(&port), status;
        char proxy[64];
        pid_t child = fork();
        if (child == 0) {
            char heard[65536];
            size_t size = 0;
            alarm(20);
            int file = accept(listener, NULL, NULL);
            for (ssize_t count; size < sizeof heard && !memmem(heard, size, "\r\n\r\n", 4) && (count = read(file, heard + size, sizeof heard - size)) > 0;)
                size += (size_t)count;
            bool good = size > 8 && memcmp(heard, "CONNECT ", 8) == 0 && write(file, replies[i], strlen(replies[i])) > 0;
            shutdown(file, SHUT_WR);
            for (ssize_t count; size < sizeof heard && (count = read(file, heard + size, sizeof heard - size)) > 0;)
                size += (size_t)count;
            _exit(good && !secret_in(heard, size) ? 0 : 1);
        }
        ts_chat_options options = options_of("https", 9, "x");
        snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", port);
        options.proxy = proxy;
        options.attempts = 1;
        options.in_flight = 1;
        assert_status(ask(&options, 1, &report, NULL), TS_ERROR_NETWORK);
        assert_int_equal(report.unknown + report.answered, 0);
        assert_null(place_of_secret(options.journal));
        close(listener);
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    count_cases(3);
}

/* ---- h12: certificates ---- */

static ts_status ask_tls(const char *name, const char *ca_file, const char *newest)
{
    char certificate[200], key[200];
    ts_chat_report report;
    snprintf(certificate, sizeof certificate, "%s/%s.pem", work_folder(), name);
    snprintf(key, sizeof key, "%s/%s.key", work_folder(), name);
    const char *const arguments[] = {"--tls", certificate, key, newest, NULL};
    server tls = start_server(arguments);
    assert_true(tls.port != 0);
    ts_chat_options options = options_of("https", tls.port, "x");
    options.ca_file = ca_file;
    options.attempts = 1;
    ts_status status = ask(&options, 3, &report, NULL);
    stop_server(&tls);
    if (status != TS_OK)
        assert_int_equal(report.unknown + report.possibly_paid_twice + report.answered, 0); /* the key was never sent */
    assert_null(place_of_secret(options.journal));
    return status;
}

static void h12_certificates(void **state)
{
    (void)state;
    need_server();
    if (!make_certificate("good", "IP:127.0.0.1", "2") || !make_certificate("other", "DNS:other.test", "2"))
        skip();
    assert_ok(ask_tls("good", in_work("good.pem"), NULL));
    assert_int_equal(ask_tls("good", NULL, NULL), TS_ERROR_NETWORK); /* nobody vouches for it */
    assert_detail("certificate");
    assert_int_equal(ask_tls("good", in_work("other.pem"), NULL), TS_ERROR_NETWORK);  /* another does */
    assert_int_equal(ask_tls("other", in_work("other.pem"), NULL), TS_ERROR_NETWORK); /* for another host */
    assert_int_equal(ask_tls("good", in_work("good.pem"), "TLSv1_1"), TS_ERROR_NETWORK);
    assert_int_equal(ask_tls("good", in_work("nothing.pem"), NULL), TS_ERROR_NETWORK);
    count_cases(6);
    if (make_certificate("old", "IP:127.0.0.1", "-1")) {
        count_cases(1);
        assert_int_equal(ask_tls("old", in_work("old.pem"), NULL), TS_ERROR_NETWORK);
        assert_detail("expired");
    }
}

static void copy_in_work(const char *from, const char *to)
{
    size_t size;
    char *data = read_file(in_work(from), &size);
    put_file(to, data, size);
    free(data);
}

/* A certificate that is another one when the client connects anew: what came is kept, nothing more is sent, and with the right one the run goes on. */
static void h12_certificate_is_swapped(void **state)
{
    (void)state;
    need_server();
    ts_chat *chat;
    ts_chat_report report;
    ts_chat_jobs jobs = {.first = 0, .count = 2, .step = 1, .prompt = write_prompt};
    static const char *const files[][2] = {{"good.pem", "used.pem"}, {"good.key", "used.key"}, {"swapped.pem", "used.pem"}, {"swapped.key", "used.key"}};
    if (!make_certificate("good", "IP:127.0.0.1", "2") || !make_certificate("swapped", "IP:127.0.0.1", "2"))
        skip();
    copy_in_work(files[0][0], files[0][1]);
    copy_in_work(files[1][0], files[1][1]);
    const char *const arguments[] = {"--tls", in_work("used.pem"), in_work("used.key"), NULL};
    server tls = start_server(arguments);
    ts_chat_options options = options_of("https", tls.port, "ledger=swap;faults=nolength"); /* which closes each connection */
    char ca_file[300], journal[300];
    snprintf(ca_file, sizeof ca_file, "%s/good.pem", work_folder());
    snprintf(journal, sizeof journal, "%s/journal", work_folder());
    options.ca_file = ca_file;
    options.journal = journal;
    unlink(journal);
    assert_ok(ts_chat_open(&chat, runtime, &options, TS_CHAT_CONVERSATION, 1));
    for (int swapped = 0; swapped < 3; swapped++, jobs.count += 2) {
        copy_in_work(files[2 * (swapped == 1)][0], "used.pem");
        copy_in_work(files[2 * (swapped == 1) + 1][0], "used.key");
        assert_status(ts_chat_run(chat, &jobs, NULL, NULL), swapped == 1 ? TS_ERROR_NETWORK : TS_OK);
        if (swapped == 1)
            assert_detail("certificate");
        ts_chat_totals(chat, &report);
        assert_int_equal(report.answered, swapped == 1 ? 2 : jobs.count);
        assert_int_equal(report.unknown + report.possibly_paid_twice, 0);
    }
    ts_chat_close(chat);
    stop_server(&tls);
    assert_null(place_of_secret(journal));
    count_cases(1);
}

/* ---- many at a time ---- */

static void many_in_flight(void **state)
{
    (void)state;
    need_server();
    enum { STORIES = 600 };
    ts_chat_report report;
    ts_chat_options options = options_of("http", the_server.port, "ledger=many;delay=0.2");
    options.in_flight = 200;
    double began = ts_clock();
    assert_ok(ask(&options, STORIES, &report, NULL));
    assert_int_equal(report.answered, STORIES);
    assert_int_equal(report.requests, STORIES);
    assert_true(ts_clock() - began < 60 * 0.2); /* five at a time would do that */
    count_cases(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h16_first_clients_in_many_threads),
        cmocka_unit_test(h01_to_h03_statuses),
        cmocka_unit_test(h04_redirects),
        cmocka_unit_test(h05_and_h06_connections),
        cmocka_unit_test(h07_and_h08_sizes),
        cmocka_unit_test(h09_to_h11_replies),
        cmocka_unit_test(h12_certificates),
        cmocka_unit_test(h12_certificate_is_swapped),
        cmocka_unit_test(h14_no_signal_over_tls),
        cmocka_unit_test(h05_and_h12_nobody_reads),
        cmocka_unit_test(h15_proxies_never_see_the_key),
        cmocka_unit_test(h13_nobody_there),
        cmocka_unit_test(h13_a_resolver_that_does_not_answer),
        cmocka_unit_test(h14_signals_stay_as_they_are),
        cmocka_unit_test(h15_the_environment_is_not_asked),
        cmocka_unit_test(h16_forks),
        cmocka_unit_test(h17_keys_that_are_repeated),
        cmocka_unit_test(h18_keys),
        cmocka_unit_test(h05_reused_connections),
        cmocka_unit_test(many_in_flight),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
