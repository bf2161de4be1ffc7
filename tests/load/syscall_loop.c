/* Exactly N getppid calls on each of K threads, as fast as possible, after a line on standard input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>


static long calls;

static void *loop(void *unused) {
    (void)unused;
    for (long i = 0; i < calls; i++) syscall(SYS_getppid);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int threads = atoi(argv[1]);
    calls = atol(argv[2]);
    if (threads < 1 || threads > 64 || calls < 1 || calls > 100000000) return 2;
    alarm(600);
    printf("{\"pid\": %d}\n", getpid());
    fflush(stdout);
    if (getchar() == EOF) return 1;
    struct timespec begun, ended;
    pthread_t running[64];
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int i = 0; i < threads; i++) pthread_create(&running[i], NULL, loop, NULL);
    for (int i = 0; i < threads; i++) pthread_join(running[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    long long ns = (ended.tv_sec - begun.tv_sec) * 1000000000LL + ended.tv_nsec - begun.tv_nsec;
    printf("{\"calls\": %lld, \"elapsed_ns\": %lld}\n", (long long)threads * calls, ns);
    fflush(stdout);
    getchar();
    return 0;
}
