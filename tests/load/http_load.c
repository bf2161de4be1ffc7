/* http_load: exactly N HTTP/1.1 GET requests over loopback, never two at once on a connection, each in one segment.
 *
 * Slot i of C connection slots has its own source address (round robin) and its own share of N, so how many requests
 * every address sends is known before the start. With --rate the k-th request of slot i is due at (k * C + i) / rate
 * (open loop: a late answer does not move the next due time, it only waits for it).
 * --trace writes int64 rows, see TRACE in client.py. The result is one JSON object on stdout. */
#define _GNU_SOURCE
#include "common.h"
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
enum { MAX_SOURCES = 4096, MAX_PATHS = 64, HEAD = 16384, ROW = 9 };
enum phase { EMPTY, CONNECTING, IDLE, WAITING, CLOSING };

typedef struct {
    address from;
    char text[INET6_ADDRSTRLEN];
    int64_t requests, responses, connections;
} source;

typedef struct {
    enum phase phase;
    int fd, index, port, status, in_body, until_eof, server_closes, head_used;
    source *source;
    int64_t quota, sent, body_left;
    int64_t due, connect_start, connect_end, send_start, send_end, first_byte;
    char head[HEAD + 1];
} slot;

static struct {
    address to4, to6;
    source sources[MAX_SOURCES];
    int source_count, path_count, slots, close, time_limit_s;
    const char *paths[MAX_PATHS], *trace;
    int64_t requests;
    double rate;
} opt = {.slots = 1, .requests = 1, .time_limit_s = 60};

static int poller, timer;
static slot *slots;
static rows trace, latencies;
static int64_t started, finished, errors, not_2xx, bytes;

static void watch(slot *s, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    epoll_ctl(poller, how, s->fd, &e);
}

static int64_t due_ns(const slot *s)
{
    return opt.rate > 0 ? started + (int64_t)(((double)s->sent * opt.slots + s->index) * 1e9 / opt.rate) : started;
}

static void open_connection(slot *s)
{
    int on = 1, v4 = s->source->from.any.sa_family == AF_INET;
    address *to = v4 ? &opt.to4 : &opt.to6, mine;
    s->fd = socket(s->source->from.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        fail("socket", s->source->text);
    /* The port is chosen at connect: otherwise each source port could be used for one destination only. */
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    no_delay(s->fd);
    if (bind(s->fd, &s->source->from.any, address_size(&s->source->from)))
        fail("bind", s->source->text);
    s->connect_start = now_ns();
    if (connect(s->fd, &to->any, address_size(to)) && errno != EINPROGRESS)
        fail("connect", s->source->text);
    /* Over loopback the handshake usually ends inside connect(); its own poll event can come much later. */
    s->connect_end = now_ns();
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    if (info.tcpi_state != TCP_ESTABLISHED)
        s->connect_end = 0;
    size = sizeof mine;
    getsockname(s->fd, &mine.any, &size);
    s->port = port_of(&mine);
    s->phase = CONNECTING;
    watch(s, EPOLL_CTL_ADD, EPOLLOUT);
}

static void drop(slot *s)
{
    close(s->fd);
    s->phase = EMPTY;
}

static void lose(slot *s)
{
    errors++;
    drop(s);
    s->sent = s->quota; /* a lost answer makes the truth unclear: this slot ends, the result says complete: false */
}

static void send_request(slot *s)
{
    char text[2048];
    const char *path = opt.paths[(s->index + s->sent) % opt.path_count];
    int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path,
                        opt.close ? "Connection: close\r\n" : "");
    s->due = due_ns(s);
    s->send_start = now_ns();
    if (send(s->fd, text, size, MSG_NOSIGNAL) != size) {
        lose(s);
        return;
    }
    s->send_end = now_ns();
    s->sent++;
    s->source->requests++;
    s->phase = WAITING;
    s->head_used = s->in_body = s->server_closes = 0;
    s->first_byte = 0;
}

/* Give an idle slot its next request when that is due; true when a later moment must be waited for. */
static int advance(slot *s, int64_t now, int64_t *next)
{
    if (s->sent >= s->quota || s->phase == CONNECTING || s->phase >= WAITING)
        return 0;
    int64_t due = due_ns(s);
    if (due > now) {
        if (due < *next)
            *next = due;
        return 1;
    }
    if (s->phase == EMPTY)
        open_connection(s);
    else
        send_request(s);
    return 0;
}

static void response_done(slot *s)
{
    int64_t end = now_ns();
    int64_t row[ROW] = {host_of(&s->source->from), s->port, s->connect_start, s->connect_end, s->due,
                        s->send_start, s->send_end, s->first_byte, end};
    int64_t latency = end - s->send_start;
    add_row(&latencies, &latency, 1);
    if (opt.trace)
        add_row(&trace, row, ROW);
    s->source->responses++;
    not_2xx += s->status / 100 != 2;
    finished = end;
    s->phase = s->server_closes || opt.close ? CLOSING : IDLE;
    if (s->phase == IDLE && s->sent >= s->quota)
        drop(s);
}

static void read_head(slot *s, const char *data, ssize_t size)
{
    ssize_t take = size < HEAD - s->head_used ? size : HEAD - s->head_used;
    memcpy(s->head + s->head_used, data, take);
    s->head_used += take;
    s->head[s->head_used] = 0;
    char *end = strstr(s->head, "\r\n\r\n");
    if (!end) {
        if (s->head_used == HEAD)
            fail("response header longer than 16 KiB", s->source->text);
        return;
    }
    *end = 0;
    if (strcasestr(s->head, "\r\ntransfer-encoding:"))
        fail("chunked responses are not supported", s->source->text);
    char *length = strcasestr(s->head, "\r\ncontent-length:");
    s->status = atoi(s->head + 9);
    s->server_closes = strcasestr(s->head, "\r\nconnection: close") != NULL || !strncmp(s->head, "HTTP/1.0", 8);
    s->in_body = 1;
    s->until_eof = length == NULL;
    s->body_left = length ? atoll(length + 17) - (s->head_used - (end + 4 - s->head)) - (size - take) : 0;
}

static void receive(slot *s)
{
    static char data[1 << 18];
    ssize_t size = recv(s->fd, data, sizeof data, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) { /* the server ended the connection */
        if (s->phase == WAITING && s->in_body && s->until_eof)
            response_done(s);
        if (s->phase == WAITING)
            lose(s);
        else
            drop(s);
        return;
    }
    bytes += size;
    if (s->phase != WAITING)
        fail("bytes after a complete response", s->source->text);
    if (!s->first_byte)
        s->first_byte = now_ns();
    if (!s->in_body)
        read_head(s, data, size);
    else
        s->body_left -= size;
    if (s->in_body && !s->until_eof && s->body_left < 0)
        fail("more bytes than content-length says", s->source->text);
    if (s->in_body && !s->until_eof && s->body_left == 0)
        response_done(s);
}

static void on_event(slot *s, uint32_t events)
{
    if (s->phase == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        errno = error;
        if (error)
            fail("connect", s->source->text);
        if (!s->connect_end)
            s->connect_end = now_ns();
        s->source->connections++;
        s->phase = IDLE;
        watch(s, EPOLL_CTL_MOD, EPOLLIN);
    } else if (events) {
        receive(s);
    }
}

static int unfinished(void)
{
    for (int i = 0; i < opt.slots; i++)
        if (slots[i].sent < slots[i].quota || slots[i].phase != EMPTY)
            return 1;
    return 0;
}

static void set_timer(int64_t at)
{
    struct itimerspec t = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Open loop: visit every slot after each wake-up; closed loop: only those that had an event. */
static void run(void)
{
    struct epoll_event events[256];
    int64_t next = 0, ignored = 0;
    started = now_ns();
    for (int i = 0; i < opt.slots; i++)
        advance(&slots[i], started, &ignored);
    while (!stop && unfinished()) {
        if (opt.rate > 0) {
            int64_t now = now_ns();
            next = INT64_MAX;
            for (int i = 0; i < opt.slots; i++)
                advance(&slots[i], now, &next);
            if (next != INT64_MAX)
                set_timer(next);
        }
        int n = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            slot *s = events[i].data.ptr;
            if (!s) {
                uint64_t expirations;
                (void)!read(timer, &expirations, sizeof expirations);
                continue;
            }
            on_event(s, events[i].events);
            if (opt.rate <= 0)
                advance(s, started, &ignored);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t quantile(double q)
{
    size_t rank = (size_t)(q * (double)latencies.used + 0.999999999);
    return latencies.used ? latencies.values[rank ? rank - 1 : 0] : 0;
}

static void print_result(void)
{
    int64_t requests = 0, responses = 0, connections = 0;
    qsort(latencies.values, latencies.used, sizeof(int64_t), by_value);
    printf("{\"sources\": [");
    for (int i = 0; i < opt.source_count; i++) {
        source *s = &opt.sources[i];
        requests += s->requests, responses += s->responses, connections += s->connections;
        printf("%s{\"address\": \"%s\", \"requests\": %ld, \"responses\": %ld, \"connections\": %ld}", i ? ", " : "",
               s->text, s->requests, s->responses, s->connections);
    }
    int64_t elapsed = finished > started ? finished - started : 0;
    printf("], \"requests\": %ld, \"responses\": %ld, \"connections\": %ld, \"errors\": %ld, \"not_2xx\": %ld, "
           "\"bytes\": %ld, \"complete\": %s, \"started_ns\": %ld, \"elapsed_ns\": %ld, \"rate_per_s\": %.1f, "
           "\"p50_ns\": %ld, \"p90_ns\": %ld, \"p99_ns\": %ld, \"max_ns\": %ld}\n",
           requests, responses, connections, errors, not_2xx, bytes,
           responses == opt.requests && !errors ? "true" : "false", started, elapsed,
           elapsed ? (double)responses * 1e9 / (double)elapsed : 0.0, quantile(0.5), quantile(0.9), quantile(0.99),
           quantile(1));
}

static void add_sources(char *list)
{
    for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
        if (opt.source_count == MAX_SOURCES)
            fail("too many sources", p);
        source *s = &opt.sources[opt.source_count++];
        s->from = loopback(p, 0);
        snprintf(s->text, sizeof s->text, "%s", p);
    }
}

static void add_paths(char *list)
{
    for (char *p = strtok(list, ","); p; p = strtok(NULL, ","))
        if (strlen(p) < 1024 && opt.path_count < MAX_PATHS)
            opt.paths[opt.path_count++] = p;
        else
            fail("too many or too long paths", p);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, 0, 'h'},   {"host6", 1, 0, '6'}, {"port", 1, 0, 'p'},  {"requests", 1, 0, 'n'},
        {"connections", 1, 0, 'c'}, {"close", 0, 0, 'k'}, {"sources", 1, 0, 's'}, {"rate", 1, 0, 'r'},
        {"paths", 1, 0, 'u'},  {"trace", 1, 0, 't'}, {"time-limit", 1, 0, 'l'}, {0, 0, 0, 0}};
    const char *host = "127.0.0.1", *host6 = "::1";
    int port = 0, c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'h': host = optarg; break;
        case '6': host6 = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'n': opt.requests = atoll(optarg); break;
        case 'c': opt.slots = atoi(optarg); break;
        case 'k': opt.close = 1; break;
        case 's': add_sources(optarg); break;
        case 'r': opt.rate = atof(optarg); break;
        case 'u': add_paths(optarg); break;
        case 't': opt.trace = optarg; break;
        case 'l': opt.time_limit_s = atoi(optarg); break;
        default: exit(2);
        }
    }
    opt.to4 = loopback(host, port);
    opt.to6 = loopback(host6, port);
    if (!opt.source_count)
        add_sources((char[]){"127.0.0.1"});
    if (!opt.path_count)
        opt.paths[opt.path_count++] = "/";
    if (port <= 0 || opt.requests < 1 || opt.requests > 100000000 || opt.slots < 1 || opt.slots > 20000)
        fail("out of range", "--port, --requests or --connections");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    start_watchdog(opt.time_limit_s);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    slots = calloc(opt.slots, sizeof *slots);
    for (int i = 0; i < opt.slots; i++) {
        slots[i].index = i;
        slots[i].source = &opt.sources[i % opt.source_count];
        slots[i].quota = opt.requests / opt.slots + (i < opt.requests % opt.slots);
    }
    run();
    if (opt.trace)
        write_rows(&trace, opt.trace);
    print_result();
    return 0;
}
