/* Run a command with a seccomp filter: confine default|old-eperm|old-enosys COMMAND [ARG...]

   default refuses with EPERM what Docker's default profile does not allow, and clone3 with ENOSYS,
   as it does, so that the C library falls back to clone. The old ones refuse besides, with EPERM or
   ENOSYS, all system calls that came after Linux 5.1: an engine that is older than the C library
   does not know them. */

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FIRST_NEW = 424 }; /* pidfd_send_signal, Linux 5.1: from here on numbers are the same everywhere */

static const int refused[] = {
    SYS_acct, SYS_add_key, SYS_bpf, SYS_clock_adjtime, SYS_clock_settime, SYS_delete_module,
    SYS_fanotify_init, SYS_finit_module, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick,
    SYS_get_mempolicy, SYS_init_module, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_io_uring_setup, SYS_kcmp, SYS_kexec_load, SYS_keyctl, SYS_lookup_dcookie, SYS_mbind,
    SYS_mount, SYS_move_mount, SYS_move_pages, SYS_nfsservctl, SYS_open_by_handle_at, SYS_open_tree,
    SYS_perf_event_open, SYS_pivot_root, SYS_process_vm_readv, SYS_process_vm_writev, SYS_quotactl,
    SYS_reboot, SYS_request_key, SYS_set_mempolicy, SYS_setdomainname, SYS_sethostname, SYS_setns,
    SYS_settimeofday, SYS_swapoff, SYS_swapon, SYS_syslog, SYS_umount2, SYS_unshare,
    SYS_userfaultfd, SYS_vhangup,
#ifdef SYS_uselib
    SYS_ioperm, SYS_iopl, SYS__sysctl, SYS_sysfs, SYS_uselib, SYS_ustat,
#endif
};

static struct sock_filter program[128];
static unsigned short length;

static void add(unsigned short code, unsigned value, unsigned char yes, unsigned char no) {
    program[length++] = (struct sock_filter)BPF_JUMP(code, value, yes, no);
}

static void refuse(unsigned short comparison, unsigned number, int error) {
    add(BPF_JMP | comparison | BPF_K, number, 0, 1);
    add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error, 0, 0);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    if (strcmp(argv[1], "default") == 0)
        refuse(BPF_JEQ, SYS_clone3, ENOSYS);
    else
        refuse(BPF_JGE, FIRST_NEW, strcmp(argv[1], "old-eperm") == 0 ? EPERM : ENOSYS);
    for (size_t n = 0; n < sizeof refused / sizeof *refused; n++)
        refuse(BPF_JEQ, refused[n], EPERM);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);

    struct sock_fprog filter = {length, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("confine");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
