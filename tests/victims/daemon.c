/* Make COUNT orphans, one after the other, and exit when all of them have: daemon COUNT. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	int held[2];
	char nothing;

	if (pipe(held) < 0)
		return 2;
	for (int made = 0; made < count; made++) {
		pid_t parent = fork();
		if (parent == 0)
			_exit(fork() < 0 ? 2 : 0);
		if (parent < 0 || waitpid(parent, NULL, 0) < 0)
			return 2;
	}
	close(held[1]);
	return read(held[0], &nothing, 1) == 0 ? 0 : 2;
}
