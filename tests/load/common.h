/* Shared by the load generators and servers of the kernel tests: clock, loopback addresses, growing arrays, options.
 * Times are CLOCK_BOOTTIME, the clock of bpftrace's nsecs, so that a truth can be laid beside what bpftrace saw. */
#ifndef BPFTOP_LOAD_COMMON_H
#define BPFTOP_LOAD_COMMON_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline _Noreturn void fail(const char *what, const char *which)
{
    fprintf(stderr, "%s: %s (%s)\n", what, which, strerror(errno));
    exit(2);
}

/* Only loopback: these programs load whatever they are pointed at. */
static inline address loopback(const char *text, int port)
{
    address a;
    memset(&a, 0, sizeof a);
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1 && (ntohl(a.v4.sin_addr.s_addr) >> 24) == 127) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr)) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(port);
    } else {
        fail("not a loopback address", text);
    }
    return a;
}

static inline socklen_t address_size(const address *a)
{
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

static inline int port_of(const address *a)
{
    return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

/* The IPv4 address as a number in host order; 0 stands for ::1. */
static inline int64_t host_of(const address *a)
{
    return a->any.sa_family == AF_INET ? (int64_t)ntohl(a->v4.sin_addr.s_addr) : 0;
}

/* Rows of int64 in memory, written out at the end: recording must not cost a system call per request. */
typedef struct {
    int64_t *values;
    size_t used, room;
} rows;

static inline void add_row(rows *r, const int64_t *values, size_t width)
{
    if (r->used + width > r->room) {
        r->room = r->room ? r->room * 2 : 1 << 16;
        r->values = realloc(r->values, r->room * sizeof *r->values);
        if (!r->values)
            fail("no memory", "rows");
    }
    memcpy(r->values + r->used, values, width * sizeof *values);
    r->used += width;
}

static inline void write_rows(const rows *r, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(r->values, sizeof *r->values, r->used, f) != r->used || fclose(f))
        fail("cannot write", path);
}

static inline void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Nothing here outlives its parent or its time limit. PR_SET_PDEATHSIG would fire when the parent's *thread* ends,
 * so the parent is looked at once a second instead. Counting `watchdog_seconds` down to 0 means: stop. */
static volatile sig_atomic_t stop;
static volatile sig_atomic_t watchdog_seconds;
static pid_t watchdog_parent;

static inline void on_stop_signal(int number)
{
    if (number != SIGALRM || getppid() != watchdog_parent || --watchdog_seconds <= 0)
        stop = 1;
}

static inline void start_watchdog(int limit_s)
{
    struct sigaction act = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    struct itimerval second = {{1, 0}, {1, 0}};
    watchdog_parent = getppid();
    watchdog_seconds = limit_s;
    sigaction(SIGALRM, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    setitimer(ITIMER_REAL, &second, NULL);
}

#endif
