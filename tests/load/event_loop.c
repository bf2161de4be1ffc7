/* Two event loops with turns of known work: event_loop TRUTH FILE
 *
 * One thread waits with epoll_pwait, the other with ppoll. Says {"pid": N}, waits for a line, runs both loops, says
 * {"done": 1}, waits for a line, and writes the truth: rows of int64 (thread id, work, wait begins, timer fires, wait
 * has returned), CLOCK_BOOTTIME. FILE is a scratch file. */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

enum { NOTHING, SPIN, SLEEP, SYNC, POLL, MANY, WORKS };
enum { WIDTH = 5, TURNS = 4 * WORKS };
static const int64_t PAUSE_NS = 60000000;
static int64_t truth[2][TURNS * WIDTH];
static const char *scratch;

static struct timespec span(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void spin(int64_t ns)
{
    for (int64_t end = now_ns() + ns; now_ns() < end;)
        ;
}

static void pause_for(int64_t ns)
{
    struct timespec t = span(ns);
    syscall(SYS_nanosleep, &t, NULL);
}

static void work(int kind, int file)
{
    static char block[1 << 16];
    struct timespec t = span(9000000);
    if (kind == SPIN)
        spin(5000000);
    if (kind == SLEEP)
        pause_for(7000000);
    if (kind == SYNC && (pwrite(file, block, sizeof block, 0) < 0 || fsync(file)))
        fail("cannot write", scratch);
    if (kind == POLL)
        syscall(SYS_ppoll, NULL, 0, &t, NULL, 8);
    for (int i = 0; kind == MANY && i < 3; i++) {
        pause_for((1 + i) * 1000000);
        spin(1000000);
    }
}

static void *loop(void *which)
{
    int64_t *row = which;
    int uses_epoll = row == truth[0];
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_BOOTTIME, 0);
    int file = open(scratch, O_RDWR | O_CREAT, 0600);
    struct epoll_event event = {.events = EPOLLIN};
    struct pollfd polled = {timer, POLLIN, 0};
    uint64_t fired;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    for (int i = 0; i < TURNS; i++, row += WIDTH) {
        int64_t at = now_ns() + PAUSE_NS;
        struct itimerspec t = {.it_value = span(at)};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
        row[0] = syscall(SYS_gettid);
        row[1] = i % WORKS;
        row[3] = at;
        row[2] = now_ns();
        if (uses_epoll)
            syscall(SYS_epoll_pwait, epoll, &event, 1, -1, NULL, 8);
        else
            syscall(SYS_ppoll, &polled, 1, NULL, NULL, 8);
        row[4] = now_ns();
        if (read(timer, &fired, sizeof fired) != sizeof fired)
            fail("no timer", "read");
        /* In a loop of poll a poll inside a turn is a wait of the loop: only epoll can tell them apart. */
        if (uses_epoll || row[1] != POLL)
            work((int)row[1], file);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char line[16];
    pthread_t threads[2];
    if (argc != 3)
        fail("usage", "event_loop TRUTH FILE");
    alarm(600);
    scratch = argv[2];
    printf("{\"pid\": %d}\n", getpid());
    fflush(stdout);
    if (read(0, line, sizeof line) <= 0)
        return 1;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, loop, truth[i]))
            fail("no thread", "pthread_create");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("{\"done\": 1}\n");
    fflush(stdout);
    if (read(0, line, sizeof line) <= 0)
        return 1;
    rows r = {truth[0], sizeof truth / sizeof(int64_t), sizeof truth / sizeof(int64_t)};
    write_rows(&r, argv[1]);
    printf("{\"written\": 1}\n");
    fflush(stdout);
    return read(0, line, sizeof line) > 0;
}
