/* Leave orphans without end, from as many makers as are asked for, until SIGTERM: storm MAKERS.
 *
 * SIGUSR1 is answered by a line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_orphans(void)
{
	alarm(120); /* without an init that reaps, this would use up all pids */
	for (;;) {
		pid_t parent = fork();
		if (parent == 0) {
			for (int i = 0; i < 50; i++)
				if (fork() == 0)
					_exit(0);
			_exit(0);
		}
		if (parent > 0)
			waitpid(parent, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	int makers = argc > 1 ? atoi(argv[1]) : 1;
	pid_t maker[64];
	sigset_t wanted;
	int got;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	for (int i = 0; i < makers; i++)
		if ((maker[i] = fork()) == 0)
			make_orphans();
	printf("ready (pid: %d)\n", getpid());
	fflush(stdout);
	while (sigwait(&wanted, &got) == 0 && got == SIGUSR1) {
		printf("got it\n");
		fflush(stdout);
	}
	for (int i = 0; i < makers; i++)
		kill(maker[i], SIGKILL);
	return 0;
}
