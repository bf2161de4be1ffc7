/* Threads that compute and sleep by turns, for a known number of turns: cpu_work THREADS
 *
 * Says {"pid": N, "tids": [...]}. For each line with a number N on standard input every thread computes for 2 ms of its
 * own CPU time and sleeps for 1 ms, N times; when all are idle again it answers {"done": N}. */
#define _GNU_SOURCE
#include "common.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { MOST = 16 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begin = PTHREAD_COND_INITIALIZER, end = PTHREAD_COND_INITIALIZER;
static int turns, started, idle;
static long tids[MOST];

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *worker(void *which)
{
    int mine = 0;
    *(long *)which = syscall(SYS_gettid);
    for (;;) {
        pthread_mutex_lock(&lock);
        idle++;
        pthread_cond_signal(&end);
        while (started == mine)
            pthread_cond_wait(&begin, &lock);
        mine = started;
        int count = turns;
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < count; i++) {
            for (int64_t until = cpu_ns() + 2000000; cpu_ns() < until;)
                ;
            struct timespec t = {0, 1000000};
            syscall(SYS_nanosleep, &t, NULL);
        }
    }
    return NULL;
}

static void wait_idle(int threads)
{
    while (idle < threads)
        pthread_cond_wait(&end, &lock);
}

int main(int argc, char **argv)
{
    char line[32];
    pthread_t thread;
    int threads = argc == 2 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads > MOST)
        fail("usage", "cpu_work THREADS");
    alarm(600);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread, NULL, worker, &tids[i]))
            fail("no thread", "pthread_create");
    pthread_mutex_lock(&lock);
    wait_idle(threads);
    printf("{\"pid\": %d, \"tids\": [%d", getpid(), getpid());
    for (int i = 0; i < threads; i++)
        printf(", %ld", tids[i]);
    printf("]}\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        turns = atoi(line);
        idle = 0;
        started++;
        pthread_cond_broadcast(&begin);
        wait_idle(threads);
        printf("{\"done\": %d}\n", turns);
        fflush(stdout);
    }
    return 0;
}
