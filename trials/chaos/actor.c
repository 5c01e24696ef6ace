/* A process of a random tree: it becomes what plan.py has drawn, and writes what it sees.
 *
 * Usage: actor tree FD QUIT 0 0 SPEC       the root, pyinit's child, which waits for the whole tree
 *        actor early FD QUIT 0 0 SPEC      the same, which does not wait
 *        actor enter FD QUIT PID ID SPEC   node ID alone, in the PID namespace of PID, as a guest
 *        actor again FD QUIT INIT ID SPEC  node ID, which has made its children: see `exec`
 *
 * SPEC holds a node a `;`, and of each the numbers of `struct node`. Times are milliseconds.
 *
 * Each tells on FD, a pipe, by one write a line: a letter, its node, its pid, three numbers
 * and the time. seen.py has the letters. All signals are blocked and taken one by one, so that
 * nothing is missed and nobody is killed before it has told of itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DIES, LEAVES, STAYS, IGNORES, BLOCKS };       /* what it does when asked to stop */
enum { NEGLECTS, REAPS, DISOWNS };                   /* its exited children */
enum { IS_ITSELF, EXECS_ITSELF, EXECS_SLEEP };
enum { NODES = 128, FIELDS = 21 };

struct node {
    int id, parent, daemon, session, group, uid, stopped, asked, work, late, late_life, life, code,
        killer, every, most, reaping, signum, at, exec, hop;
};

static struct node nodes[NODES], *me;
static int count, told, quit, ready = -1, building = -1;
static pid_t init;
static char **words;
static sigset_t taken; /* what it takes from the queue */

static long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void tell(char letter, int id, pid_t pid, int a, int b, int c)
{
    char line[128];
    const char *words = "%c %d %d %d %d %d %ld\n";
    int size = snprintf(line, sizeof line, words, letter, id, pid, a, b, c, now());

    if (write(told, line, size) != size)
        _exit(99);
}

static void fail(int what)
{
    tell('F', me ? me->id : -1, getpid(), what, errno, 0);
    _exit(98);
}

static pid_t spawn(void)
{
    pid_t pid = fork();

    if (pid < 0)
        fail(1);
    if (pid == 0 && ready >= 0) {
        close(ready);
        ready = -1;
    }
    return pid;
}

static void unblock(int signum)
{
    sigset_t one;

    sigemptyset(&one);
    sigaddset(&one, signum);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static int asks(int signum) { return signum == (me->id == 0 ? quit : SIGTERM); }

static int asking(void) { return me->id == 0 ? quit : SIGTERM; }

static void leave(int why)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* only SIGKILL can come between this line and the end */
    tell('G', me->id, getpid(), why, me->killer, me->code);
    if (me->killer) {
        signal(me->killer, SIG_DFL);
        raise(me->killer);
        unblock(me->killer);
    }
    _exit(me->code);
}

/* A child without a name in the plan: SIGTERM kills it, or it exits by itself. */
static void be_late(int life)
{
    struct timespec time = {.tv_sec = life / 1000, .tv_nsec = life % 1000 * 1000000};
    sigset_t others = taken;

    tell('L', me->id, getpid(), life, 0, 0);
    signal(SIGTERM, SIG_DFL);
    sigdelset(&others, SIGTERM);
    unblock(SIGTERM);
    for (long end = now() + life; life < 0 || now() < end;)
        sigtimedwait(&others, NULL, life < 0 ? NULL : &time);
    _exit(0);
}

static void reap(void)
{
    while (me->reaping == REAPS && waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* Be another process from now on: only the newest of them lives. */
static void hop(void)
{
    if (spawn() > 0)
        _exit(0);
    tell('L', me->id, getpid(), me->hop, 0, 0);
}

struct timers {
    long end, leaving, send, fork;
};

static long first(const struct timers *at)
{
    long all[] = {at->end, at->leaving, at->send, at->fork}, found = 0;

    for (int i = 0; i < 4; i++)
        if (all[i] && (!found || all[i] < found))
            found = all[i];
    return found;
}

static void take(int signum, struct timers *at)
{
    if (signum == SIGCHLD) {
        reap();
        return;
    }
    tell('S', me->id, getpid(), signum, 0, 0);
    if (!asks(signum) || at->leaving)
        return;
    for (int i = 0; i < me->late; i++)
        if (spawn() == 0)
            be_late(me->late_life);
    me->late = 0;
    if (me->asked == LEAVES)
        at->leaving = now() + me->work + 1;
}

static void send_one(void)
{
    tell('K', me->id, getpid(), me->signum, 0, 0);
    if (kill(init, me->signum) != 0)
        tell('R', me->id, getpid(), me->signum, errno, 0);
}

static void act(struct timers *at)
{
    long time = now();

    if (at->leaving && time >= at->leaving)
        leave(1);
    if (at->end && time >= at->end)
        leave(0);
    if (at->send && time >= at->send) {
        at->send = 0;
        send_one();
    }
    if (at->fork && time >= at->fork) {
        at->fork = me->most-- > 1 ? time + (me->hop ? me->hop : me->every) : 0;
        if (me->hop)
            hop();
        else if (spawn() == 0)
            be_late(me->late_life < 0 ? 0 : me->late_life);
    }
}

static void live(void)
{
    long start = now();
    struct timers at = {
        .end = me->life >= 0 ? start + me->life : 0,
        .send = me->signum ? start + me->at : 0,
        .fork = me->every || me->hop ? start : 0,
    };

    for (;;) {
        long next = first(&at), left = next ? next - now() : 0;
        struct timespec time;
        int signum;

        left = left < 0 ? 0 : left;
        time.tv_sec = left / 1000;
        time.tv_nsec = left % 1000 * 1000000;
        signum = sigtimedwait(&taken, NULL, next ? &time : NULL);
        if (signum > 0)
            take(signum, &at);
        act(&at);
    }
}

static void become(struct node *node);

/* Fork a node. If the plan says so, stop it once it has written its first line. */
static void bear(struct node *node)
{
    int ends[2];
    char byte;
    pid_t pid;

    if (node->stopped && pipe(ends) != 0)
        fail(2);
    pid = spawn();
    if (pid == 0) {
        if (node->stopped) {
            close(ends[0]);
            ready = ends[1];
        }
        become(node);
    }
    if (!node->stopped)
        return;
    close(ends[1]);
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    kill(pid, SIGSTOP);
    tell('P', node->id, pid, 0, 0, 0);
}

static void beget(struct node *node)
{
    pid_t between;

    if (!node->daemon) {
        bear(node);
        return;
    }
    between = spawn();
    if (between == 0) {
        setsid();
        signal(SIGCHLD, SIG_DFL); /* otherwise a node that ends at once could not be waited for */
        bear(node);
        _exit(0);
    }
    if (me->reaping == REAPS)
        waitpid(between, NULL, 0);
}

static void prepare(void)
{
    sigset_t all;
    int asked = asking();

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, me->reaping == DISOWNS ? SIG_IGN : SIG_DFL);
    signal(asked, me->asked == IGNORES ? SIG_IGN : SIG_DFL);
    taken = all;
    if (me->asked == DIES || me->asked == IGNORES || me->asked == BLOCKS)
        sigdelset(&taken, asked);
    if (me->asked == IGNORES)
        unblock(asked);
}

static void again(void)
{
    char number[16], whose[16];

    snprintf(number, sizeof number, "%d", me->id);
    snprintf(whose, sizeof whose, "%d", init);
    execl("/proc/self/exe", words[0], "again", words[2], words[3], whose, number, words[6], NULL);
    fail(3);
}

/* Another program does not take these signals, which would kill it. */
static void exec_sleep(void)
{
    sigset_t none;

    for (int signum = 1; signum < NSIG; signum++)
        if (signum != asking() && signum != SIGCHLD)
            signal(signum, SIG_IGN);
    sigemptyset(&none);
    if (me->asked == BLOCKS)
        sigaddset(&none, asking());
    sigprocmask(SIG_SETMASK, &none, NULL);
    execlp("sleep", "sleep", "infinity", NULL);
    fail(4);
}

/* Wait until each node has written its first line, and is stopped if the plan says so. */
static void wait_for_tree(int done)
{
    char byte;

    close(building);
    building = -1;
    while (read(done, &byte, 1) != 0)
        ;
    close(done);
}

static void become(struct node *node)
{
    int ends[2] = {-1, -1};

    me = node;
    if (me->session)
        setsid();
    else if (me->group)
        setpgid(0, 0);
    prepare();
    if (me->id == 0 && strcmp(words[1], "tree") == 0 && pipe2(ends, O_CLOEXEC) == 0)
        building = ends[1];
    for (int i = 0; i < count; i++)
        if (nodes[i].parent == me->id)
            beget(&nodes[i]);
    if (ends[0] >= 0)
        wait_for_tree(ends[0]);
    if (me->uid && (setgid(me->uid) != 0 || setuid(me->uid) != 0))
        fail(5);
    tell('A', me->id, getpid(), 0, 0, 0);
    if (building >= 0)
        close(building);
    if (ready >= 0)
        close(ready);
    building = ready = -1;
    if (me->exec == EXECS_ITSELF)
        again();
    if (me->exec == EXECS_SLEEP)
        exec_sleep();
    if (me->asked == DIES)
        unblock(asking());
    live();
}

/* As nsenter(1) does; the process that waits for the guest outside does not hold the pipe. */
static void enter(pid_t pid)
{
    const char *kinds[] = {"user", "pid"};
    char path[64];
    pid_t guest;

    for (int i = 0; i < 2; i++) {
        int space;

        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kinds[i]);
        space = open(path, O_RDONLY | O_CLOEXEC);
        if (setns(space, 0) != 0 && i == 1)
            fail(6); /* a user namespace may be its own, which no process can enter again */
        close(space);
    }
    guest = fork();
    if (guest < 0)
        fail(7); /* pyinit has exited, so no process can enter the namespace any more */
    if (guest == 0)
        return;
    close(told);
    waitpid(guest, NULL, 0);
    _exit(0);
}

static void parse(char *text)
{
    for (char *at = text; *at && count < NODES; at++, count++) {
        for (int i = 0; i < FIELDS; i++)
            ((int *)&nodes[count])[i] = (int)strtol(i ? at + 1 : at, &at, 10);
        if (*at != ';' || nodes[count].parent >= nodes[count].id)
            _exit(96); /* instead of forking without end */
    }
}

int main(int argc, char **argv)
{
    struct rlimit none = {0};
    sigset_t all;
    int id;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (argc != 7)
        return 97;
    words = argv;
    told = atoi(argv[2]);
    quit = atoi(argv[3]);
    init = atoi(argv[4]);
    id = atoi(argv[5]);
    parse(strdup(argv[6]));
    setrlimit(RLIMIT_CORE, &none);
    if (strcmp(argv[1], "enter") == 0) {
        enter(init);
        init = 1;
    }
    if (init == 0)
        init = getppid();
    for (int i = 0; i < count; i++)
        if (nodes[i].id == id && strcmp(argv[1], "again") != 0)
            become(&nodes[i]);
        else if (nodes[i].id == id)
            me = &nodes[i];
    prepare();
    if (me->asked == DIES)
        unblock(asking());
    live();
}
