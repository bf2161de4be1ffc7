/* System calls of known number and known duration, nothing else: known_calls TRUTH FILE
 *
 * Says {"pid": N}, waits for a line, makes the calls, says {"done": 1}, waits for a line, and writes the truth: rows of
 * int64 (number, start, end, least time it must have taken), CLOCK_BOOTTIME. FILE is a scratch file. */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

enum { WIDTH = 4, ROOM = 20000, TIMES = 200, NOT_A_CALL = 9999 };
static int64_t room[ROOM * WIDTH];
static size_t used;
static int epoll, timer;
static pid_t self;

/* The clock is read without a system call (vDSO), and nothing here allocates memory. */
static long call(int64_t least_ns, long number, long a, long b, long c, long d, long e, long f)
{
    int64_t start = now_ns();
    long result = syscall(number, a, b, c, d, e, f);
    int64_t end = now_ns();
    if (used == ROOM)
        fail("too many calls", "room");
    int64_t *row = room + WIDTH * used++;
    row[0] = number;
    row[1] = start;
    row[2] = end;
    row[3] = least_ns;
    return result;
}

static struct timespec span(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void on_signal(int number)
{
    (void)number;
}

static void quick_calls(const char *file)
{
    static char page[4096];
    long fd = call(0, SYS_openat, AT_FDCWD, (long)file, O_RDWR | O_CREAT, 0600, 0, 0);
    for (int i = 0; i < 5; i++) {
        call(0, SYS_pwrite64, fd, (long)page, sizeof page, i * 4096, 0, 0);
        call(0, SYS_fsync, fd, 0, 0, 0, 0, 0);
    }
    for (int i = 0; i < 20 * TIMES; i++)
        call(0, SYS_getppid, 0, 0, 0, 0, 0, 0);
    for (int i = 0; i < TIMES; i++) {
        call(0, SYS_pread64, fd, (long)page, sizeof page, 0, 0, 0);
        call(0, SYS_close, call(0, SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0, 0, 0), 0, 0, 0, 0, 0);
    }
    for (int i = 0; i < 7; i++)
        call(0, NOT_A_CALL, 0, 0, 0, 0, 0, 0);
    call(0, SYS_close, fd, 0, 0, 0, 0, 0);
}

/* Each signal is one kill and one rt_sigreturn. */
static void signals(void)
{
    for (int i = 0; i < 50; i++)
        call(0, SYS_kill, self, SIGUSR1, 0, 0, 0, 0);
}

static void waits(void)
{
    struct epoll_event event;
    int word = 0;
    for (int i = 1; i <= 12; i++) {
        struct timespec t = span(i * 1500000);
        call(i * 1500000, SYS_nanosleep, (long)&t, 0, 0, 0, 0, 0);
        call(i * 1000000, SYS_epoll_pwait, epoll, (long)&event, 1, i, 0, 8);
        struct timespec p = span(i * 500000);
        call(i * 500000, SYS_ppoll, 0, 0, (long)&p, 0, 8, 0);
        struct timespec f = span(i * 700000);
        call(i * 700000, SYS_futex, (long)&word, 0 /* FUTEX_WAIT */, 0, (long)&f, 0, 0);
    }
}

/* Reads that block until a timer fires at a known moment. */
static void blocking_reads(void)
{
    int64_t fired;
    for (int i = 1; i <= 10; i++) {
        int64_t at = now_ns() + i * 2000000;
        struct itimerspec t = {.it_value = span(at)};
        call(0, SYS_timerfd_settime, timer, TFD_TIMER_ABSTIME, (long)&t, 0, 0, 0);
        call(at - now_ns(), SYS_read, timer, (long)&fired, sizeof fired, 0, 0, 0);
    }
}

static void say(const char *words)
{
    if (write(1, words, strlen(words)) < 0)
        fail("cannot write", "stdout");
}

int main(int argc, char **argv)
{
    struct sigaction act = {.sa_handler = on_signal};
    char line[16], words[64];
    if (argc != 3)
        fail("usage", "known_calls TRUTH FILE");
    alarm(600);
    self = getpid();
    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_BOOTTIME, 0);
    sigaction(SIGUSR1, &act, NULL);
    snprintf(words, sizeof words, "{\"pid\": %d}\n", self);
    say(words);
    if (read(0, line, sizeof line) <= 0)
        return 1;
    quick_calls(argv[2]);
    signals();
    waits();
    blocking_reads();
    say("{\"done\": 1}\n");
    if (read(0, line, sizeof line) <= 0)
        return 1;
    rows r = {room, used * WIDTH, ROOM * WIDTH};
    write_rows(&r, argv[1]);
    say("{\"written\": 1}\n");
    return read(0, line, sizeof line) > 0;
}
