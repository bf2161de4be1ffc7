/* delay_server: an HTTP/1.1 server on loopback whose delays are known and whose truth is recorded, in ns since boot.
 *
 * One epoll loop with a timer heap, so any number of requests wait at the same time; or several: --threads (named
 * unlike the process; with --handoff the main thread accepts and the others read, write and close), --processes
 * (SO_REUSEPORT). Sends block: a slow reader delays its loop, and the truth says so. A path /d/NS asks for NS.
 * Ready: one JSON line on stdout. At SIGTERM: int64 rows to PREFIX.requests.PID.N and PREFIX.connections.PID.N,
 * see REQUESTS and CONNECTIONS in truth.py. */
#define _GNU_SOURCE
#include "common.h"
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MAX_LOOPS = 64, MAX_LISTENERS = 8, REQUEST = 4096, REQUEST_ROW = 9, CONNECTION_ROW = 7 };
enum kind { CONSTANT, BIMODAL, LOGNORMAL, PARETO };
enum step { ACCEPT, READ, ANSWER, LAST_PART };

typedef struct {
    enum step waiting_for;
    int fd, listener, dead, used, pending, closing;
    int64_t host, port, readable, accept_start, accepted, row[REQUEST_ROW];
    char request[REQUEST + 1];
} conn;

typedef struct {
    int64_t due;
    conn *c;
} timeout;

typedef struct {
    int poller, timer, index;
    timeout *heap;
    int heap_used, heap_room;
    uint64_t random;
    rows requests, connections;
    conn listeners[MAX_LISTENERS];
    pthread_t thread;
} loop;

static struct {
    const char *host, *host6, *unix_path, *comm, *thread_comm, *truth;
    int port, threads, processes, handoff, blocking, close, sends, time_limit_s, backlog;
    int64_t body, pause_ns, accept_pause_ns, read_pause_ns;
    enum kind kind;
    double a, b, c;
    uint64_t seed;
} opt = {.host = "127.0.0.1", .processes = 1, .sends = 1, .time_limit_s = 600, .backlog = 4096, .body = 2, .seed = 1};

static loop loops[MAX_LOOPS];
static char *body_bytes;

/* --- delays --------------------------------------------------------------------------------------------------- */

static double uniform(loop *l) /* splitmix64, (0, 1] */
{
    uint64_t z = (l->random += 0x9E3779B97F4A7C15ULL);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return (double)(((z ^ z >> 31) >> 11) + 1) / 9007199254740992.0;
}

static int64_t draw_delay(loop *l, const char *request)
{
    int64_t asked;
    if (sscanf(request, "GET /d/%ld", &asked) == 1)
        return asked;
    switch (opt.kind) {
    case BIMODAL: return (int64_t)(uniform(l) > opt.c ? opt.a : opt.b);
    case LOGNORMAL: return (int64_t)(opt.a * exp(opt.b * sqrt(-2 * log(uniform(l))) * cos(2 * M_PI * uniform(l))));
    case PARETO: return (int64_t)fmin(opt.a * pow(uniform(l), -1 / opt.b), 100 * opt.a);
    default: return (int64_t)opt.a;
    }
}

/* --- timers --------------------------------------------------------------------------------------------------- */

static void arm(loop *l)
{
    int64_t at = l->heap_used ? l->heap[0].due : 0;
    struct itimerspec t = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void push(loop *l, int64_t due, conn *c)
{
    if (l->heap_used == l->heap_room)
        l->heap = realloc(l->heap, (l->heap_room = l->heap_room * 2 + 64) * sizeof *l->heap);
    int i = l->heap_used++;
    for (; i && l->heap[(i - 1) / 2].due > due; i = (i - 1) / 2)
        l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = (timeout){due, c};
    if (!i)
        arm(l);
}

static conn *pop(loop *l)
{
    conn *first = l->heap[0].c;
    timeout last = l->heap[--l->heap_used];
    int i = 0, child;
    while ((child = 2 * i + 1) < l->heap_used) {
        if (child + 1 < l->heap_used && l->heap[child + 1].due < l->heap[child].due)
            child++;
        if (l->heap[child].due >= last.due)
            break;
        l->heap[i] = l->heap[child];
        i = child;
    }
    l->heap[i] = last;
    return first;
}

/* --- connections ---------------------------------------------------------------------------------------------- */

static void watch(loop *l, int how, conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(l->poller, how, c->fd, &e);
}

static void on_due(loop *l, conn *c);

/* While a connection waits for its delay nothing of it may wake the loop. */
static void wait_for(loop *l, conn *c, enum step step, int64_t delay)
{
    c->waiting_for = step;
    if (opt.blocking) {
        struct timespec t = {delay / 1000000000, delay % 1000000000};
        while (nanosleep(&t, &t) && errno == EINTR) {
        }
        on_due(l, c);
        return;
    }
    if (!c->pending)
        watch(l, EPOLL_CTL_DEL, c);
    c->pending = 1;
    push(l, now_ns() + delay, c);
}

static void resume(loop *l, conn *c)
{
    if (c->pending)
        watch(l, EPOLL_CTL_ADD, c);
    c->pending = 0;
}

static void end_connection(loop *l, conn *c)
{
    int64_t row[CONNECTION_ROW] = {c->host, c->port, c->readable, c->accept_start, c->accepted, now_ns(), 0};
    close(c->fd); /* also takes it out of epoll */
    row[6] = now_ns();
    add_row(&l->connections, row, CONNECTION_ROW);
    free(c);
}

static void accept_one(loop *l, conn *from, int fd, const address *peer, int64_t start)
{
    static int turn;
    conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    c->readable = from->readable;
    c->accept_start = start;
    c->accepted = now_ns();
    c->host = host_of(peer);
    c->port = port_of(peer);
    no_delay(fd);
    watch(opt.handoff ? &loops[1 + turn++ % opt.threads] : l, EPOLL_CTL_ADD, c);
}

static void accept_all(loop *l, conn *listener)
{
    address peer = {0}; /* stays so for unix sockets, whose clients have no name */
    socklen_t size = sizeof peer;
    int fd;
    int64_t start = now_ns();
    while ((fd = accept4(listener->fd, &peer.any, &size, SOCK_CLOEXEC)) >= 0) {
        accept_one(l, listener, fd, &peer, start);
        size = sizeof peer;
        start = now_ns();
    }
}

static void send_part(conn *c, int part)
{
    char head[256];
    int64_t from = opt.body * part / opt.sends, size = opt.body * (part + 1) / opt.sends - from;
    int length = part ? 0
                      : snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n%s\r\n", opt.body,
                                 c->closing ? "Connection: close\r\n" : "");
    struct iovec iov[2] = {{head, length}, {body_bytes, size}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    int64_t before = now_ns();
    c->dead |= sendmsg(c->fd, &message, MSG_NOSIGNAL) != length + size;
    int64_t after = now_ns();
    if (!part)
        c->row[4] = before, c->row[5] = after;
    c->row[6] = before, c->row[7] = after;
}

static void finish(loop *l, conn *c)
{
    if (!c->dead)
        add_row(&l->requests, c->row, REQUEST_ROW);
    c->used = 0;
    if (c->closing || c->dead)
        end_connection(l, c);
    else
        resume(l, c);
}

static void answer(loop *l, conn *c)
{
    int last = opt.sends - 1;
    for (int part = 0; part <= last; part++) {
        if (part == last && last && opt.pause_ns) {
            wait_for(l, c, LAST_PART, opt.pause_ns);
            return;
        }
        send_part(c, part);
    }
    finish(l, c);
}

static void read_request(loop *l, conn *c)
{
    int64_t before = now_ns();
    ssize_t size = recv(c->fd, c->request + c->used, REQUEST - c->used, 0);
    int64_t after = now_ns();
    if (size <= 0) {
        end_connection(l, c);
        return;
    }
    c->used += size;
    c->request[c->used] = 0;
    if (!strstr(c->request, "\r\n\r\n") && c->used < REQUEST) {
        resume(l, c);
        return;
    }
    c->closing = opt.close || strcasestr(c->request, "\r\nconnection: close") != NULL;
    int64_t delay = draw_delay(l, c->request);
    memcpy(c->row, (int64_t[]){c->host, c->port, before, after}, 4 * sizeof(int64_t));
    c->row[8] = delay;
    if (delay > 0)
        wait_for(l, c, ANSWER, delay);
    else
        answer(l, c);
}

static void on_due(loop *l, conn *c)
{
    switch (c->waiting_for) {
    case ACCEPT: accept_all(l, c); resume(l, c); break;
    case READ: read_request(l, c); break;
    case ANSWER: answer(l, c); break;
    case LAST_PART: send_part(c, opt.sends - 1); finish(l, c); break;
    }
}

static void on_readable(loop *l, conn *c)
{
    c->readable = c->listener ? now_ns() : c->readable;
    if (c->listener && opt.accept_pause_ns)
        wait_for(l, c, ACCEPT, opt.accept_pause_ns);
    else if (c->listener)
        accept_all(l, c);
    else if (opt.read_pause_ns)
        wait_for(l, c, READ, opt.read_pause_ns);
    else
        read_request(l, c);
}

static void *run(void *of)
{
    loop *l = of;
    struct epoll_event events[256];
    char name[16];
    if (opt.thread_comm && l->index) {
        snprintf(name, sizeof name, "%.11s-%d", opt.thread_comm, l->index);
        prctl(PR_SET_NAME, name);
    }
    prctl(PR_SET_TIMERSLACK, 1);
    while (!stop) {
        int n = epoll_wait(l->poller, events, 256, 200);
        for (int i = 0; i < n; i++) {
            uint64_t expirations;
            if (events[i].data.ptr)
                on_readable(l, events[i].data.ptr);
            else
                (void)!read(l->timer, &expirations, sizeof expirations);
        }
        int fired = 0;
        for (int64_t now = now_ns(); l->heap_used && l->heap[0].due <= now; fired = 1)
            on_due(l, pop(l));
        if (fired)
            arm(l);
    }
    return NULL;
}

/* --- start and end -------------------------------------------------------------------------------------------- */

static int listen_on(const char *host, int *port)
{
    int on = 1;
    address a = loopback(host, *port);
    socklen_t size = sizeof a;
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (opt.processes > 1)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd < 0 || bind(fd, &a.any, address_size(&a)) || listen(fd, opt.backlog))
        fail("listen", host);
    getsockname(fd, &a.any, &size);
    *port = port_of(&a);
    return fd;
}

static int listen_on_path(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof a.sun_path || opt.processes > 1)
        fail("listen", path);
    strcpy(a.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || chmod(path, 0666) || listen(fd, opt.backlog))
        fail("listen", path);
    return fd;
}

static void add_listener(loop *l, int slot, int fd)
{
    l->listeners[slot] = (conn){.fd = fd, .listener = 1};
    watch(l, EPOLL_CTL_ADD, &l->listeners[slot]);
}

static void start_loop(int index, int process)
{
    loop *l = &loops[index];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    l->index = index;
    l->random = opt.seed * 1000003 + process * 1009 + index;
    l->poller = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_ctl(l->poller, EPOLL_CTL_ADD, l->timer, &e);
}

static void write_truth(void)
{
    char path[4096];
    for (int i = 0; opt.truth && i <= opt.threads; i++) {
        snprintf(path, sizeof path, "%s.requests.%d.%d", opt.truth, getpid(), i);
        write_rows(&loops[i].requests, path);
        snprintf(path, sizeof path, "%s.connections.%d.%d", opt.truth, getpid(), i);
        write_rows(&loops[i].connections, path);
    }
}

static void serve(const int *listeners, int count, int process)
{
    start_watchdog(opt.time_limit_s);
    for (int i = 0; i <= opt.threads; i++)
        start_loop(i, process);
    for (int i = opt.threads && !opt.handoff; i <= (opt.handoff ? 0 : opt.threads); i++)
        for (int k = 0; k < count; k++)
            add_listener(&loops[i], k, listeners[k]);
    for (int i = 1; i <= opt.threads; i++)
        pthread_create(&loops[i].thread, NULL, run, &loops[i]);
    run(&loops[0]);
    for (int i = 1; i <= opt.threads; i++)
        pthread_join(loops[i].thread, NULL);
    write_truth();
    exit(0);
}

static void ready(int port, const pid_t *pids, int count)
{
    printf("{\"port\": %d, \"pid\": %d, \"pids\": [", port, getpid());
    for (int i = 0; i < count; i++)
        printf("%s%d", i ? ", " : "", pids[i]);
    printf("]}\n");
    fflush(stdout);
}

/* One set of listeners for each process exists before the first fork: ready means that every one is reachable. */
static void serve_in_processes(int (*listeners)[MAX_LISTENERS], int count, int port)
{
    pid_t pids[MAX_LOOPS];
    for (int p = 0; p < opt.processes; p++) {
        if ((pids[p] = fork()) == 0) {
            for (int other = 0; other < opt.processes; other++)
                for (int k = 0; other != p && k < count; k++)
                    close(listeners[other][k]);
            serve(listeners[p], count, p);
        }
    }
    for (int p = 0; p < opt.processes; p++)
        for (int k = 0; k < count; k++)
            close(listeners[p][k]);
    start_watchdog(opt.time_limit_s);
    ready(port, pids, opt.processes);
    while (!stop)
        usleep(50000);
    for (int p = 0; p < opt.processes; p++)
        kill(pids[p], SIGTERM);
    while (wait(NULL) > 0 || errno == EINTR) {
    }
}

static void read_delay(const char *text)
{
    static const char *names[] = {"constant", "bimodal", "lognormal", "pareto"};
    char name[16] = "";
    int parts = sscanf(text, "%15[a-z]:%lf,%lf,%lf", name, &opt.a, &opt.b, &opt.c);
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i]) && parts == (int[]){2, 4, 3, 3}[i]) {
            opt.kind = i;
            return;
        }
    fail("not a delay", text);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, 0, 'h'}, {"host6", 1, 0, '6'}, {"port", 1, 0, 'p'}, {"delay", 1, 0, 'd'}, {"seed", 1, 0, 's'},
        {"body", 1, 0, 'b'}, {"sends", 1, 0, 'n'}, {"pause-ns", 1, 0, 'w'}, {"accept-pause-ns", 1, 0, 'a'},
        {"read-pause-ns", 1, 0, 'r'}, {"threads", 1, 0, 't'}, {"thread-comm", 1, 0, 'T'}, {"handoff", 0, 0, 'o'},
        {"processes", 1, 0, 'P'}, {"comm", 1, 0, 'c'}, {"truth", 1, 0, 'f'}, {"blocking", 0, 0, 'B'},
        {"close", 0, 0, 'k'}, {"time-limit", 1, 0, 'l'}, {"backlog", 1, 0, 'g'}, {"unix", 1, 0, 'u'}, {0, 0, 0, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'h': opt.host = optarg; break;
        case '6': opt.host6 = optarg; break;
        case 'p': opt.port = atoi(optarg); break;
        case 'd': read_delay(optarg); break;
        case 's': opt.seed = strtoull(optarg, NULL, 10); break;
        case 'b': opt.body = atoll(optarg); break;
        case 'n': opt.sends = atoi(optarg); break;
        case 'w': opt.pause_ns = atoll(optarg); break;
        case 'a': opt.accept_pause_ns = atoll(optarg); break;
        case 'r': opt.read_pause_ns = atoll(optarg); break;
        case 't': opt.threads = atoi(optarg); break;
        case 'T': opt.thread_comm = optarg; break;
        case 'o': opt.handoff = 1; break;
        case 'P': opt.processes = atoi(optarg); break;
        case 'c': opt.comm = optarg; break;
        case 'f': opt.truth = optarg; break;
        case 'B': opt.blocking = 1; break;
        case 'k': opt.close = 1; break;
        case 'l': opt.time_limit_s = atoi(optarg); break;
        case 'u': opt.unix_path = optarg; break;
        case 'g': opt.backlog = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (opt.threads < 0 || opt.threads >= MAX_LOOPS || opt.processes < 1 || opt.processes > MAX_LOOPS ||
        opt.sends < 1 || opt.body < 0 || opt.body > 1 << 30 || (opt.handoff && !opt.threads))
        fail("out of range", "--threads, --processes, --sends or --body");
}

int main(int argc, char **argv)
{
    int listeners[MAX_LOOPS][MAX_LISTENERS], count = 0;
    read_options(argc, argv);
    if (opt.comm)
        prctl(PR_SET_NAME, opt.comm);
    body_bytes = malloc(opt.body + 1);
    memset(body_bytes, 'x', opt.body + 1);
    for (int p = 0; p < opt.processes; p++) {
        count = 0;
        if (*opt.host)
            listeners[p][count++] = listen_on(opt.host, &opt.port);
        if (opt.host6)
            listeners[p][count++] = listen_on(opt.host6, &opt.port);
        if (opt.unix_path)
            listeners[p][count++] = listen_on_path(opt.unix_path);
    }
    if (opt.processes > 1) {
        serve_in_processes(listeners, count, opt.port);
        return 0;
    }
    ready(opt.port, (pid_t[]){getpid()}, 1);
    serve(listeners[0], count, 0);
}
