/* Hold a process so that not even SIGKILL ends it, as a disk that does not respond would.
 *
 * Usage: cling PID
 *
 * It is traced and stopped at its exit (ptrace(2), PTRACE_EVENT_EXIT) until our stdin ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char byte;

    if (argc != 2 || ptrace(PTRACE_SEIZE, atoi(argv[1]), NULL, PTRACE_O_TRACEEXIT) != 0) {
        perror("cling");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
