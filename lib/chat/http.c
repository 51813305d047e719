/* Requests by libcurl's multi interface. The only file that knows of curl. */
#define _GNU_SOURCE
#include "chat/http.h"

#include <curl/curl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define SLOW_BYTES 2L /* a second, over silent_seconds: a reply that trickles slower has failed */
#define LONGEST_POLL 0.1

typedef struct slot {
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    ts_bytes body;
    size_t header_bytes;
    ts_http_limits limits;
    const char *problem; /* why we ended it ourselves, or NULL */
    char error[CURL_ERROR_SIZE];
    bool active, issued; /* in the multi handle; a connection stood and the request was on its way */
    bool events;
    ts_status status;               /* of memory, or of what takes the lines */
    const ts_http_request *request; /* of a call, else NULL */
    curl_mime *form;
} slot;

typedef struct http {
    ts_runtime *runtime; /* borrowed */
    ts_http_options options;
    char *url, *authorization, *key, *ca_file, *proxy;
    size_t authorization_size, key_size;
    CURLM *multi;
    slot *slots; /* options.slots, and one for calls */
    int active;  /* slots in the multi handle */
    pid_t owner;
} http;

/* ---- once a process ---- */

/* libcurl's own initialization is thread-safe where CURL_VERSION_THREADSAFE says so, but it is counted: it is called exactly once. */
static ts_status initialize(void)
{
    static int state; /* 0: not yet, 1: at it, 2: done, 3: failed */
    int expected = 0;
    const curl_version_info_data *about = curl_version_info(CURLVERSION_NOW);
    if (!(about->features & CURL_VERSION_THREADSAFE) || !(about->features & CURL_VERSION_ASYNCHDNS))
        return ts_fail(TS_ERROR_UNSUPPORTED, "libcurl %s cannot be used by several threads, expected 7.84 or later with threads for names",
                       about->version);
    if (__atomic_compare_exchange_n(&state, &expected, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        __atomic_store_n(&state, curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 2 : 3, __ATOMIC_RELEASE);
    while ((expected = __atomic_load_n(&state, __ATOMIC_ACQUIRE)) == 1)
        sched_yield();
    return expected == 2 ? TS_OK : ts_fail(TS_ERROR_NETWORK, "libcurl %s could not be initialized", about->version);
}

/* ---- SIGPIPE: TLS libraries may write to a closed connection; the host's handling of the signal stays as it is ---- */

typedef struct pipe_guard {
    sigset_t before;
    bool pending;
} pipe_guard;

static void guard_pipes(pipe_guard *guard)
{
    sigset_t set, waiting;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigpending(&waiting);
    guard->pending = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &set, &guard->before);
}

static void unguard_pipes(pipe_guard *guard)
{
    const struct timespec at_once = {0, 0};
    sigset_t set, waiting;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigpending(&waiting);
    if (!guard->pending && sigismember(&waiting, SIGPIPE) == 1)
        sigtimedwait(&set, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

/* ---- what curl calls ---- */

static void http_hide(void *user, char *text, size_t size)
{
    const http *h = user;
    if (h->key)
        ts_key_hide(text, size, h->key);
}

static size_t stop_transfer(slot *s, const char *problem)
{
    s->problem = problem;
    return CURL_READFUNC_ABORT; /* any number but the size that was given */
}

/* Hands over the whole lines of the body, and at the end what is left. */
static ts_status give_lines(slot *s, bool end)
{
    size_t start = 0;
    char *newline;
    do {
        newline = start < s->body.size ? memchr(s->body.data + start, '\n', s->body.size - start) : NULL;
        size_t size = (newline ? (size_t)(newline - s->body.data) : s->body.size) - start;
        if (size > 0 && (newline || end)) {
            s->body.data[start + size] = 0;
            TS_TRY(s->request->line(s->request->user, s->body.data + start, size));
        }
        start += newline || end ? size + (newline != NULL) : 0;
    } while (newline);
    memmove(s->body.data, s->body.data + start, s->body.size - start);
    s->body.size -= start;
    return TS_OK;
}

static bool takes_lines(const slot *s)
{
    long code = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &code);
    return s->request && s->request->line && code == 200;
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
    slot *s = user;
    (void)one;
    if (size > TS_HTTP_MOST_BODY - s->body.size)
        return stop_transfer(s, "the reply has more than 16 MiB");
    s->status = ts_bytes_add(&s->body, data, size);
    if (s->status == TS_OK && takes_lines(s) && memchr(data, '\n', size))
        s->status = give_lines(s, false);
    return s->status == TS_OK ? size : stop_transfer(s, "the reply could not be kept");
}

static bool is_header(const char *line, size_t size, const char *name)
{
    return size > strlen(name) && curl_strnequal(line, name, strlen(name));
}

static size_t on_header(char *line, size_t one, size_t size, void *user)
{
    slot *s = user;
    (void)one;
    s->header_bytes += size;
    if (s->header_bytes > TS_HTTP_MOST_HEADERS)
        return stop_transfer(s, "the reply's headers have more than 64 KiB");
    if (is_header(line, size, "http/")) { /* of this reply, not of one that came before it (100 Continue, a proxy) */
        ts_http_limits_init(&s->limits);
        s->events = false;
    }
    if (is_header(line, size, "content-type:"))
        s->events = memmem(line, size, "text/event-stream", 17) != NULL;
    if (is_header(line, size, "content-encoding:") && memmem(line, size, "identity", 8) == NULL)
        return stop_transfer(s, "the reply is compressed, which was not asked for");
    ts_http_limits_read(&s->limits, line, size, (double)time(NULL));
    return size;
}

/* Called before the request goes out; by curl again when it would send it once more on a new connection, which is ours to decide and to count. */
static int on_issue(void *user, char *remote, char *local, int remote_port, int local_port)
{
    slot *s = user;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    if (s->issued) {
        s->problem = "the connection was closed before a reply";
        return CURL_PREREQFUNC_ABORT;
    }
    s->issued = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- sending ---- */

static ts_status set_headers(slot *s, const char *idempotency_key)
{
    const http *h = s->http;
    char line[128];
    const char *lines[] = {"Accept: application/json, text/event-stream", "Expect:", s->request && !s->request->body ? NULL : "Content-Type: application/json",
                           idempotency_key ? line : NULL, h->authorization};
    snprintf(line, sizeof line, "Idempotency-Key: %.80s", idempotency_key ? idempotency_key : "");
    curl_slist_free_all(s->headers);
    s->headers = NULL;
    for (size_t i = 0; i < TS_COUNT_OF(lines); i++) {
        if (!lines[i])
            continue;
        struct curl_slist *longer = curl_slist_append(s->headers, lines[i]);
        if (!longer)
            return ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory for the headers of a request");
        s->headers = longer;
    }
    return TS_OK;
}

/* Options that are the same for all requests of a slot. */
static CURLcode set_up(slot *s)
{
    const http *h = s->http;
    CURL *easy = s->easy;
    CURLcode code = CURLE_OK;
#define SET(option, value) code = code ? code : curl_easy_setopt(easy, option, value)
    SET(CURLOPT_URL, h->url);
    SET(CURLOPT_PROTOCOLS_STR, strncmp(h->url, "http:", 5) == 0 ? "http" : "https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (h->ca_file) {
        SET(CURLOPT_CAINFO, h->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_PROXY, h->proxy ? h->proxy : ""); /* "": none, and the environment is not asked */
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L); /* a reply may take minutes */
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(h->options.connect_seconds * 1000));
    SET(CURLOPT_TIMEOUT_MS, (long)(h->options.total_seconds * 1000));
    SET(CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
    SET(CURLOPT_LOW_SPEED_TIME, (long)TS_MAX(h->options.silent_seconds, 1.0));
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)TS_HTTP_MOST_BODY);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, s);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_PREREQFUNCTION, on_issue);
    SET(CURLOPT_PREREQDATA, s);
    SET(CURLOPT_ERRORBUFFER, s->error);
    SET(CURLOPT_PRIVATE, s);
#undef SET
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a thread that looks up a name is left behind, not waited for, when its time is up; it ends by itself */
#endif
    return code;
}

static ts_status prepare_slot(slot *s, const char *idempotency_key)
{
    const http *h = s->http;
    if (h->owner != getpid())
        return ts_fail(TS_ERROR_UNSUPPORTED, "a chat service that was opened in another process, before a fork, cannot be used");
    if (!s->easy && (!(s->easy = curl_easy_init()) || set_up(s) != CURLE_OK))
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "libcurl could not prepare a request to '%.200s'", h->url);
    TS_TRY(set_headers(s, idempotency_key));
    s->body.size = s->header_bytes = 0;
    s->issued = s->events = false;
    s->problem = NULL;
    s->error[0] = 0;
    s->status = TS_OK;
    ts_http_limits_init(&s->limits);
    return TS_OK;
}

/* Starts what is set up; `code` is of setting it up. */
static ts_status start_slot(slot *s, CURLcode code)
{
    pipe_guard guard;
    code = code ? code : curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
    guard_pipes(&guard);
    CURLMcode added = code == CURLE_OK ? curl_multi_add_handle(s->http->multi, s->easy) : CURLM_INTERNAL_ERROR;
    unguard_pipes(&guard);
    if (added != CURLM_OK)
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "libcurl could not start a request: %s", code ? curl_easy_strerror(code) : curl_multi_strerror(added));
    s->active = true;
    s->http->active++;
    return TS_OK;
}

static ts_status http_start(void *user, size_t number, const char *body, size_t size, const char *idempotency_key)
{
    slot *s = &((http *)user)->slots[number];
    TS_TRY(prepare_slot(s, idempotency_key));
    CURLcode code = curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body);
    code = code ? code : curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    return start_slot(s, code);
}

static ts_status http_wait(void *user, double seconds)
{
    http *h = user;
    int running = 0, events = 0;
    pipe_guard guard;
    if (h->owner != getpid())
        return ts_fail(TS_ERROR_UNSUPPORTED, "a chat service that was opened in another process, before a fork, cannot be used");
    guard_pipes(&guard);
    CURLMcode code = curl_multi_perform(h->multi, &running);
    if (code == CURLM_OK && seconds > 0 && running >= h->active) /* else something has ended already */
        code = curl_multi_poll(h->multi, NULL, 0, (int)(TS_MIN(seconds, LONGEST_POLL) * 1000) + 1, &events);
    if (code == CURLM_OK && events > 0)
        code = curl_multi_perform(h->multi, &running);
    unguard_pipes(&guard);
    return code == CURLM_OK ? TS_OK : ts_fail(TS_ERROR_NETWORK, "libcurl failed: %s", curl_multi_strerror(code));
}

/* ---- replies ---- */

/* Takes a slot's handle out of the multi handle, if it is in it. */
static void leave(slot *s)
{
    if (s->active)
        curl_multi_remove_handle(s->http->multi, s->easy);
    s->http->active -= s->active;
    s->active = false;
}

static ts_http_end end_of(const slot *s, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return TS_HTTP_REPLIED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return s->issued ? TS_HTTP_UNKNOWN : TS_HTTP_REFUSED;
    default:
        return s->issued ? TS_HTTP_UNKNOWN : TS_HTTP_UNSENT;
    }
}

static bool http_take(void *user, ts_http_reply *reply)
{
    http *h = user;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
        slot *s = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE || curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &s) != CURLE_OK)
            continue;
        leave(s);
        *reply = (ts_http_reply){.slot = (size_t)(s - h->slots), .end = end_of(s, code), .events = s->events, .limits = s->limits};
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &reply->code);
        http_hide(h, s->error, strlen(s->error));
        reply->detail = code == CURLE_OK ? "" : s->problem ? s->problem : s->error[0] ? s->error : curl_easy_strerror(code);
        reply->body = s->body.size ? s->body.data : "";
        reply->size = s->body.size;
        return true;
    }
    return false;
}

/* The form of a files endpoint; libcurl reads the file while it sends it. */
static CURLcode set_form(slot *s, const ts_http_request *request)
{
    curl_mimepart *part;
    s->form = curl_mime_init(s->easy);
    part = s->form ? curl_mime_addpart(s->form) : NULL;
    if (!part || curl_mime_name(part, "purpose") != CURLE_OK || curl_mime_data(part, request->purpose, CURL_ZERO_TERMINATED) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    part = curl_mime_addpart(s->form);
    if (!part || curl_mime_name(part, "file") != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = curl_mime_filedata(part, request->upload);
    return code ? code : curl_easy_setopt(s->easy, CURLOPT_MIMEPOST, s->form);
}

static CURLcode set_request(slot *s, const ts_http_request *request)
{
    CURLcode code = curl_easy_setopt(s->easy, CURLOPT_URL, request->url);
    code = code ? code : curl_easy_setopt(s->easy, CURLOPT_HTTPGET, 1L);
    code = code ? code : curl_easy_setopt(s->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(request->line ? 0 : TS_HTTP_MOST_BODY));
    if (code == CURLE_OK && request->upload)
        return set_form(s, request);
    if (code == CURLE_OK && request->body)
        code = curl_easy_setopt(s->easy, CURLOPT_COPYPOSTFIELDS, request->body);
    return code;
}

static ts_status http_call(void *user, const ts_http_request *request, ts_http_reply *reply)
{
    http *h = user;
    slot *s = &h->slots[h->options.slots];
    bool come = false;
    s->request = request;
    ts_status status = prepare_slot(s, request->key);
    if (status == TS_OK)
        status = start_slot(s, set_request(s, request));
    while (status == TS_OK && !come) {
        status = http_wait(h, LONGEST_POLL);
        come = status == TS_OK && http_take(h, reply);
    }
    leave(s);
    if (status == TS_OK && reply->end == TS_HTTP_REPLIED && takes_lines(s)) {
        status = give_lines(s, true);
        reply->body = "";
        reply->size = 0;
    }
    s->request = NULL;
    curl_mime_free(s->form);
    s->form = NULL;
    return status ? status : s->status;
}

static void http_cancel(void *user, size_t number)
{
    leave(&((http *)user)->slots[number]);
}

static double http_now(void *user)
{
    (void)user;
    return ts_clock();
}

/* ---- making ---- */

static void free_secret(ts_runtime *runtime, char *text, size_t size)
{
    if (text)
        explicit_bzero(text, size);
    ts_release(runtime, text);
}

static void http_free(void *user)
{
    http *h = user;
    ts_runtime *runtime = h->runtime;
    pipe_guard guard;
    guard_pipes(&guard);
    for (size_t i = 0; h->slots && i <= h->options.slots; i++) {
        slot *s = &h->slots[i];
        if (h->owner == getpid()) { /* connections of the process that forked are its own to close */
            http_cancel(h, i);
            curl_easy_cleanup(s->easy);
        }
        for (struct curl_slist *line = s->headers; line; line = line->next)
            explicit_bzero(line->data, strlen(line->data));
        curl_slist_free_all(s->headers);
        ts_bytes_free(&s->body);
    }
    if (h->multi && h->owner == getpid())
        curl_multi_cleanup(h->multi);
    unguard_pipes(&guard);
    free_secret(runtime, h->authorization, h->authorization_size);
    free_secret(runtime, h->key, h->key_size);
    ts_release(runtime, h->url);
    ts_release(runtime, h->ca_file);
    ts_release(runtime, h->proxy);
    ts_release(runtime, h->slots);
    ts_release(runtime, h);
}

/* Copies before and text, one behind the other; NULL for a text that is NULL is no failure. */
static ts_status copy_text(char **out, size_t *size, ts_runtime *runtime, const char *before, const char *text)
{
    if (!text)
        return TS_OK;
    size_t first = strlen(before), second = strlen(text);
    *out = ts_allocate(runtime, first + second + 1);
    if (!*out)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(*out, before, first);
    memcpy(*out + first, text, second + 1);
    *size = first + second + 1;
    return TS_OK;
}

/* A key stands in a header: what could end the line or is not plain is refused, without being shown. */
static ts_status check_key(const char *key)
{
    size_t size = strlen(key);
    if (size == 0 || size > TS_HTTP_MOST_KEY)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the key has %zu characters, expected 1 to %d", size, TS_HTTP_MOST_KEY);
    for (size_t i = 0; i < size; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "character %zu of the key is not printable ASCII", i);
    return TS_OK;
}

static ts_status prepare(http *h, const ts_http_options *o)
{
    size_t size;
    TS_TRY(copy_text(&h->url, &size, h->runtime, "", o->url));
    TS_TRY(copy_text(&h->ca_file, &size, h->runtime, "", o->ca_file));
    TS_TRY(copy_text(&h->proxy, &size, h->runtime, "", o->proxy));
    TS_TRY(copy_text(&h->key, &h->key_size, h->runtime, "", o->key));
    TS_TRY(copy_text(&h->authorization, &h->authorization_size, h->runtime, "Authorization: Bearer ", o->key));
    h->options = *o;
    h->slots = ts_allocate_array(h->runtime, o->slots + 1, sizeof *h->slots);
    if (!h->slots)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i <= o->slots; i++) {
        h->slots[i].http = h;
        h->slots[i].body.runtime = h->runtime;
    }
    h->multi = curl_multi_init();
    if (!h->multi || curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)o->slots) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)o->slots) != CURLM_OK)
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "libcurl has no memory for connections");
    return TS_OK;
}

ts_status ts_http_open(ts_transport *out, ts_runtime *runtime, const ts_http_options *options)
{
    if (options->key)
        TS_TRY(check_key(options->key));
    TS_TRY(ts_url_check(options->url, options->key != NULL));
    if (options->key && options->proxy && strncmp(options->url, "http:", 5) == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.proxy would get the key: options.base_url '%.200s' is plain http", options->url);
    TS_TRY(initialize());
    http *h = ts_allocate(runtime, sizeof *h);
    if (!h)
        return TS_ERROR_OUT_OF_MEMORY;
    h->runtime = runtime;
    h->owner = getpid();
    ts_status status = prepare(h, options);
    if (status != TS_OK) {
        http_free(h);
        return status;
    }
    *out = (ts_transport){
        .user = h, .now = http_now, .start = http_start, .wait = http_wait, .take = http_take, 
        .cancel = http_cancel, .call = http_call, .hide = http_hide, .free = http_free};
    return TS_OK;
}
