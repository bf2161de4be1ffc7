/* socket_loop: exactly N one-byte request/response exchanges over TCP loopback, as fast as two CPUs can.
 *
 * The server is this process (comm loop-server), the client its child (comm loop-client), so that one of them can be
 * traced. The client sends on each of C connections and then reads each; the server reads and answers them in the
 * same order: no poll, so nearly every system call is one of the exchange. Ready: one JSON line; begins with a line
 * on stdin, connections included; the result is a second JSON line; then it stays until stdin ends. */
#define _GNU_SOURCE
#include "common.h"
#include <getopt.h>
#include <sys/wait.h>

enum { MAX_CONNECTIONS = 1024 };
static long exchanges = 1000;
static int connections = 32, time_limit_s = 600;

static int listen_any(int *port)
{
    address a = loopback("127.0.0.1", 0);
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, &a.any, address_size(&a)) || listen(fd, MAX_CONNECTIONS))
        fail("listen", "127.0.0.1");
    getsockname(fd, &a.any, &size);
    *port = port_of(&a);
    return fd;
}

static void exchange_client(int port)
{
    static int fds[MAX_CONNECTIONS];
    char byte = 'x';
    for (int i = 0; i < connections; i++) {
        address to = loopback("127.0.0.1", port);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        no_delay(fds[i]);
        if (connect(fds[i], &to.any, address_size(&to)))
            fail("connect", "127.0.0.1");
    }
    for (long done = 0; done < exchanges && !stop; done += connections) {
        long batch = exchanges - done < connections ? exchanges - done : connections;
        for (int i = 0; i < batch; i++)
            if (send(fds[i], &byte, 1, 0) != 1)
                fail("send", "client");
        for (int i = 0; i < batch; i++)
            if (recv(fds[i], &byte, 1, 0) != 1)
                fail("recv", "client");
    }
    exit(0);
}

static long exchange_server(int listener)
{
    static int fds[MAX_CONNECTIONS];
    char byte;
    long done = 0;
    for (int i = 0; i < connections; i++) {
        if ((fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
            fail("accept", "server");
        no_delay(fds[i]);
    }
    while (done < exchanges) {
        int i = done % connections;
        if (recv(fds[i], &byte, 1, 0) != 1 || send(fds[i], &byte, 1, 0) != 1)
            break;
        done++;
    }
    for (int i = 0; i < connections; i++)
        close(fds[i]);
    return done;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"exchanges", 1, 0, 'n'}, {"connections", 1, 0, 'c'}, {"time-limit", 1, 0, 'l'}, {0, 0, 0, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'n': exchanges = atol(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'l': time_limit_s = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (exchanges < 1 || connections < 1 || connections > MAX_CONNECTIONS)
        fail("out of range", "--exchanges or --connections");
}

int main(int argc, char **argv)
{
    int port;
    char line[64];
    read_options(argc, argv);
    prctl(PR_SET_NAME, "loop-server");
    start_watchdog(time_limit_s);
    int listener = listen_any(&port);
    printf("{\"port\": %d, \"pid\": %d}\n", port, getpid());
    fflush(stdout);
    if (read(0, line, sizeof line) <= 0)
        return 1;
    int64_t start = now_ns();
    pid_t client = fork();
    if (client == 0) {
        prctl(PR_SET_NAME, "loop-client");
        start_watchdog(time_limit_s);
        close(listener);
        exchange_client(port);
    }
    long done = exchange_server(listener);
    int64_t elapsed = now_ns() - start;
    waitpid(client, NULL, 0);
    printf("{\"exchanges\": %ld, \"connections\": %d, \"elapsed_ns\": %ld}\n", done, connections, elapsed);
    fflush(stdout);
    while (!stop && read(0, line, sizeof line) > 0) {
    }
    return 0;
}
