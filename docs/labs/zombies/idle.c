/* An init that starts a command, and never waits for a process. */
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc > 1 && fork() == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    for (;;)
        pause();
}
