/*
 * A chat service for measurements: answers each request after a fixed time, from one thread and without ever being the limit. Refuses with 429 what is above
 * its bound in flight.
 *
 * usage: slow_server MILLISECONDS MOST_IN_FLIGHT      prints its port, then serves until its standard input ends; then the number of replies and refusals
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 4096, MOST_REQUEST = 16384 };

typedef struct connection {
    char data[MOST_REQUEST];
    size_t size;
    uint64_t due; /* of the reply that is waited for, 0: none */
    bool refused;
    int next; /* in the queue of replies */
} connection;

static connection *connections[MOST_CONNECTIONS];
static int first = -1, last = -1; /* replies in the order in which they are due: all take the same time */
static uint64_t in_flight, replies, refusals, most_seen, delay, bound;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void drop(int file)
{
    connection *c = connections[file];
    if (c != NULL && c->due != 0)
        c->size = 0; /* its turn in the queue comes, and it is forgotten then */
    else {
        free(c);
        connections[file] = NULL;
    }
    close(file);
}

/* The length of a whole request at the beginning of the data, or 0. */
static size_t whole(connection *c)
{
    c->data[c->size] = 0;
    char *end = strstr(c->data, "\r\n\r\n"), *length = strcasestr(c->data, "content-length:");
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end - c->data) + 4 + (length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0);
    return size <= c->size ? size : 0;
}

static void take(int file)
{
    connection *c = connections[file];
    size_t size = whole(c);
    if (size == 0 || c->due != 0)
        return;
    memmove(c->data, c->data + size, c->size - size);
    c->size -= size;
    c->refused = in_flight >= bound;
    c->due = now() + (c->refused ? 0 : delay);
    in_flight++;
    most_seen = in_flight > most_seen ? in_flight : most_seen;
    c->next = -1;
    *(last < 0 ? &first : &connections[last]->next) = file;
    last = file;
}

static void answer(int file)
{
    static const char body[] = "{\"choices\": [{\"index\": 0, \"finish_reason\": \"stop\", \"message\": {\"content\": \"Once there was a story that was always the same. The end.\"}}], "
                               "\"usage\": {\"prompt_tokens\": 100, \"completion_tokens\": 50}}";
    connection *c = connections[file];
    char reply[1024];
    int size = snprintf(reply, sizeof reply, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        c->refused ? "429 Too Many Requests\r\nRetry-After: 1" : "200 OK", c->refused ? (size_t)2 : sizeof body - 1, c->refused ? "{}" : body);
    in_flight--;
    replies += !c->refused;
    refusals += c->refused;
    c->due = 0;
    if (write(file, reply, (size_t)size) != size)
        fprintf(stderr, "a reply could not be written: %s\n", strerror(errno));
    else
        take(file); /* what came meanwhile */
}

static bool hear(int file)
{
    connection *c = connections[file];
    for (;;) {
        ssize_t count = read(file, c->data + c->size, MOST_REQUEST - 1 - c->size);
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (count <= 0)
            return false;
        c->size += (size_t)count;
    }
    take(file);
    return true;
}

static void let_in(int listener, int events)
{
    const int yes = 1;
    for (int file; (file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
        if (file >= MOST_CONNECTIONS || (connections[file] = calloc(1, sizeof(connection))) == NULL) {
            close(file);
            continue;
        }
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(events, EPOLL_CTL_ADD, file, &event);
    }
}

int main(int count, char **values)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (count != 3) {
        fprintf(stderr, "usage: slow_server MILLISECONDS MOST_IN_FLIGHT\n");
        return 2;
    }
    delay = strtoull(values[1], NULL, 10) * 1000;
    bound = strtoull(values[2], NULL, 10);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), events = epoll_create1(EPOLL_CLOEXEC);
    if (listener < 0 || events < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    epoll_ctl(events, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.fd = STDIN_FILENO});
    for (bool over = false; !over;) {
        struct epoll_event ready[256];
        uint64_t moment = now();
        int wait = first < 0 ? 1000 : connections[first]->due <= moment ? 0 : (int)((connections[first]->due - moment + 999) / 1000);
        int found = epoll_wait(events, ready, 256, wait);
        for (int i = 0; i < found; i++) {
            int file = ready[i].data.fd;
            if (file == STDIN_FILENO)
                over = true;
            else if (file == listener)
                let_in(listener, events);
            else if (connections[file] != NULL && !hear(file))
                drop(file);
        }
        for (moment = now(); first >= 0 && connections[first]->due <= moment;) {
            int file = first;
            first = connections[file]->next;
            last = first < 0 ? -1 : last;
            answer(file);
        }
    }
    printf("%llu replies, %llu refusals, %llu in flight at most\n", (unsigned long long)replies, (unsigned long long)refusals, (unsigned long long)most_seen);
    return 0;
}
