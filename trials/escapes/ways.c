/* Ways to outlive a time limit: a command that leaves processes which do not exit when asked.
 *
 * Usage: ways WAY [FOLDER]
 *
 * When all are in place it prints `ready` and waits. A process that stays ignores every signal
 * that it can. FOLDER is a cgroup (v2) to be frozen in, or where `helper` lies: this program with
 * the set-user-ID bit of root.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THOUSAND 1000
#define FEW 10
#define MANY 30
#define DEPTH 4
#define BRANCHES 3
#define BOMB 300
#define LONGEST 500
#define NODES 121 /* 1 + 3 + 9 + 27 + 81 */

static int ready[2];
static const char *folder;
static char **words;

static void die(const char *what)
{
    perror(what);
    _exit(1);
}

/* Report that a process is in place. Later this is not read, so it must not block. */
static void in_place(void)
{
    if (write(ready[1], "", 1) != 1)
        return;
}

static void be_deaf(void)
{
    for (int signum = 1; signum < NSIG; signum++)
        if (signum != SIGCHLD)
            signal(signum, SIG_IGN);
}

static void stay(void)
{
    for (;;)
        pause();
}

static void stay_deaf(void)
{
    be_deaf();
    in_place();
    stay();
}

static pid_t start(void (*run)(void))
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid == 0) {
        run();
        _exit(0);
    }
    return pid;
}

static void in_session(void)
{
    setsid();
    stay_deaf();
}

static void job(void) { start(stay_deaf); }

static void session(void) { start(in_session); }

static void daemon_parent(void)
{
    setsid();
    be_deaf();
    start(stay_deaf);
}

static void daemonise(void) { waitpid(start(daemon_parent), NULL, 0); }

static void nohup_child(void)
{
    fcntl(ready[1], F_SETFD, FD_CLOEXEC);
    execlp("setsid", "setsid", "nohup", "sleep", "infinity", NULL);
    die("setsid");
}

static void nohup(void)
{
    char byte;

    start(nohup_child);
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 0) /* its exec closes the last copy */
        die("nohup");
}

static void blocking(void)
{
    sigset_t all;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    in_place();
    stay();
}

static void block(void) { start(blocking); }

static void stopping(void)
{
    setsid();
    be_deaf();
    raise(SIGSTOP);
    stay();
}

static void stopped(void) { waitpid(start(stopping), NULL, WUNTRACED); }

static void relay(void)
{
    setsid();
    be_deaf();
    in_place();
    for (;;)
        if (fork() > 0)
            _exit(0);
}

static void one_relay(void) { start(relay); }

static void relay_of_sessions(void)
{
    be_deaf();
    in_place();
    for (;;) {
        setsid();
        if (fork() > 0)
            _exit(0);
    }
}

static void one_relay_of_sessions(void) { start(relay_of_sessions); }

static void relays(void)
{
    for (int i = 0; i < MANY; i++)
        start(i % 2 ? relay : relay_of_sessions);
}

static void relay_in_group(void)
{
    be_deaf();
    in_place();
    for (;;)
        if (fork() > 0)
            _exit(0);
}

static void one_relay_in_group(void) { start(relay_in_group); }

static void drift(void)
{
    struct timespec time = {0, 2000000};

    be_deaf();
    in_place();
    for (;;) {
        setsid();
        if (fork() > 0)
            _exit(0);
        nanosleep(&time, NULL);
    }
}

static void drifters(void)
{
    for (int i = 0; i < FEW; i++)
        start(drift);
}

static void fork_once(int signum)
{
    (void)signum;
    if (fork() == 0) {
        setsid();
        be_deaf();
        stay();
    }
}

static void answering(void)
{
    struct sigaction action = {.sa_handler = fork_once};

    setsid();
    sigaction(SIGTERM, &action, NULL);
    in_place();
    stay();
}

static void answer(void)
{
    signal(SIGTERM, SIG_IGN); /* so that it does not end before they have forked */
    start(answering);
}

static void *keep_one(void *unused)
{
    (void)unused;
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) {
            setsid();
            stay_deaf();
        }
        waitpid(pid, NULL, 0);
    }
    return NULL;
}

static void forking_threads(void)
{
    pthread_t thread;

    setsid();
    be_deaf();
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread, NULL, keep_one, NULL) != 0)
            die("pthread_create");
    stay();
}

static void threads(void) { start(forking_threads); }

static void vforking(void)
{
    setsid();
    be_deaf();
    if (vfork() == 0) {
        in_place();
        for (;;) /* and its parent waits for an exec */
            pause();
    }
    _exit(0);
}

static void vforked(void) { start(vforking); }

static void adopt(void)
{
    setsid();
    be_deaf();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 3; i++)
        waitpid(start(daemon_parent), NULL, 0);
    in_place();
    for (;;) /* a new one for each that ends */
        if (wait(NULL) > 0)
            waitpid(start(daemon_parent), NULL, 0);
}

static void subreaper(void) { start(adopt); }

static void changing_user(void)
{
    char helper[4096], descriptor[16];

    snprintf(helper, sizeof helper, "%s/helper", folder);
    snprintf(descriptor, sizeof descriptor, "%d", ready[1]);
    execl(helper, helper, "as-root", descriptor, NULL);
    die(helper);
}

static void change_user(void) { start(changing_user); }

/* The helper: from here on, only a privileged process may signal it. */
static void as_root(const char *descriptor)
{
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        die("setresuid");
    ready[1] = atoi(descriptor);
    setsid();
    stay_deaf();
}

static void in_user_namespace(void)
{
    if (unshare(CLONE_NEWUSER) != 0)
        die("unshare");
    setsid();
    stay_deaf();
}

static void user_namespace(void) { start(in_user_namespace); }

static void nested_init(void)
{
    be_deaf();
    start(relay);
    for (int i = 0; i < 3; i++)
        start(in_session);
    for (;;)
        if (wait(NULL) < 0)
            pause();
}

static void in_pid_namespace(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        die("unshare");
    setsid();
    start(nested_init);
    stay_deaf();
}

static void pid_namespace(void) { start(in_pid_namespace); }

static void stopped_parent_of_one(void)
{
    setsid();
    be_deaf();
    start(in_session);
    raise(SIGSTOP);
    stay();
}

static void stopped_parent(void) { waitpid(start(stopped_parent_of_one), NULL, WUNTRACED); }

static void put(const char *file, const char *text)
{
    char path[4096];
    int descriptor;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    descriptor = open(path, O_WRONLY);
    if (descriptor < 0 || write(descriptor, text, strlen(text)) < 0)
        die(path);
    close(descriptor);
}

static void freezing(void)
{
    setsid();
    be_deaf();
    start(in_session); /* stays outside */
    put("cgroup.procs", "0");
    in_place();
    stay();
}

static void frozen(void)
{
    char byte;

    start(freezing);
    for (int i = 0; i < 2; i++)
        if (read(ready[0], &byte, 1) != 1)
            die("frozen");
    put("cgroup.freeze", "1");
}

static void trace(void)
{
    pid_t pid;

    setsid();
    be_deaf();
    pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        stay();
    }
    waitpid(pid, NULL, 0);
    /* Not even SIGKILL ends it before its tracer does (ptrace(2), PTRACE_EVENT_EXIT). */
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXIT) != 0)
        die("ptrace");
    in_place();
    stay();
}

static void traced(void) { start(trace); }

static void hide(void)
{
    setsid();
    prctl(PR_SET_NAME, ") Z 1 1 1");
    for (char **word = words; *word; word++)
        memset(*word, 0, strlen(*word));
    stay_deaf();
}

static void hidden(void) { start(hide); }

/* Two that watch each other: if one ends, the other starts it again. */
static void guard(int mine, int theirs)
{
    for (;;) {
        char byte;
        int pipes[2][2];

        while (read(theirs, &byte, 1) > 0)
            ;
        close(theirs);
        close(mine);
        if (pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0)
            _exit(1);
        if (fork() == 0) {
            setsid();
            close(pipes[0][0]);
            close(pipes[1][1]);
            mine = pipes[0][1];
            theirs = pipes[1][0];
            in_place();
        } else {
            close(pipes[0][1]);
            close(pipes[1][0]);
            mine = pipes[1][1];
            theirs = pipes[0][0];
        }
    }
}

static void first_guard(void)
{
    int pipes[2];

    be_deaf();
    setsid();
    if (pipe(pipes) != 0)
        die("pipe");
    close(pipes[1]);
    guard(dup(0), pipes[0]); /* the other one seems to have ended */
}

static void guards(void)
{
    for (int i = 0; i < 4; i++)
        start(first_guard);
}

static void waking(void)
{
    setsid();
    be_deaf();
    in_place();
    for (;;)
        kill(-1, SIGCONT);
}

static void wakers(void)
{
    guards();
    start(waking);
    start(waking);
}

static void grow(int depth);

static void branch(int depth)
{
    if (fork() == 0) {
        setsid();
        grow(depth);
    }
}

static void grow(int depth)
{
    be_deaf();
    in_place();
    for (int i = 0; depth > 0 && i < BRANCHES; i++)
        branch(depth - 1);
    while (depth > 0)
        if (wait(NULL) > 0) /* a new one for each that ends */
            branch(depth - 1);
    stay();
}

static void root_of_tree(void) { grow(DEPTH); }

static void tree(void) { start(root_of_tree); }

/* As many as a semaphore permits: if one ends, its place is free, and another one forks. */
static int places;

static void multiply(void)
{
    struct sembuf take = {0, -1, 0}, give = {0, 1, 0};
    struct sembuf inherit[] = {{0, 1, 0}, {0, -1, SEM_UNDO}}; /* until it ends, in any way */

    be_deaf();
    signal(SIGCHLD, SIG_IGN); /* no child is waited for */
    for (;;) {
        if (semop(places, inherit, 2) != 0)
            _exit(1);
        setsid();
        in_place();
        for (;;) {
            pid_t pid;

            if (semop(places, &take, 1) != 0)
                _exit(1);
            pid = fork();
            if (pid == 0)
                break;
            if (pid < 0)
                semop(places, &give, 1);
        }
    }
}

static void bomb(void)
{
    struct sembuf all = {0, BOMB, 0}, one = {0, -1, 0};

    places = semget(IPC_PRIVATE, 1, 0600);
    if (places < 0 || semop(places, &all, 1) != 0 || semop(places, &one, 1) != 0)
        die("semget");
    start(multiply);
}

/* Each is the child of the one before. */
static void lengthen(void)
{
    struct timespec millisecond = {0, 1000000};

    be_deaf();
    for (int i = 0; i < LONGEST; i++) {
        setsid();
        in_place();
        nanosleep(&millisecond, NULL);
        if (fork() > 0)
            break;
    }
    stay();
}

static void chain(void) { start(lengthen); }

static void thousand(void)
{
    for (int i = 0; i < THOUSAND; i++)
        start(in_session);
}

static const struct {
    const char *name;
    void (*run)(void);
    int count; /* how many report that they are in place */
} WAYS[] = {
    {"job", job, 1},
    {"session", session, 1},
    {"daemon", daemonise, 1},
    {"nohup", nohup, 0},
    {"block", block, 1},
    {"stopped", stopped, 0},
    {"relay", one_relay, 1},
    {"relay-in-group", one_relay_in_group, 1},
    {"relay-of-sessions", one_relay_of_sessions, 1},
    {"relays", relays, MANY},
    {"drifters", drifters, FEW},
    {"answer", answer, 1},
    {"threads", threads, 4},
    {"vfork", vforked, 1},
    {"subreaper", subreaper, 4},
    {"user", change_user, 1},
    {"user-namespace", user_namespace, 1},
    {"pid-namespace", pid_namespace, 5},
    {"stopped-parent", stopped_parent, 1},
    {"frozen", frozen, 0},
    {"traced", traced, 1},
    {"hidden", hidden, 1},
    {"guards", guards, 4},
    {"wakers", wakers, 6},
    {"tree", tree, NODES},
    {"bomb", bomb, BOMB},
    {"chain", chain, 20},
    {"thousand", thousand, THOUSAND},
};

int main(int argc, char **argv)
{
    char byte;

    words = argv;
    folder = argc > 2 ? argv[2] : "";
    if (argc > 2 && strcmp(argv[1], "as-root") == 0)
        as_root(argv[2]);
    if (argc < 2 || pipe(ready) != 0)
        return 2;
    fcntl(ready[1], F_SETFL, O_NONBLOCK);
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
        if (strcmp(argv[1], WAYS[i].name) == 0) {
            WAYS[i].run();
            for (int left = WAYS[i].count; left > 0; left--)
                if (read(ready[0], &byte, 1) != 1)
                    die("read");
            if (write(1, "ready\n", 6) != 6)
                return 1;
            stay();
        }
    fprintf(stderr, "ways: there is no way %s\n", argv[1]);
    return 2;
}
