#include "proto/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A sanitizer's run-time needs calls of its own (it maps, reads /proc, starts a thread): there the profile is relaxed,
 * a list of what is refused instead of what is allowed and no Landlock, and sandbox_name says so. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_PROFILE_RELAXED 1
#else
#define SANDBOX_PROFILE_RELAXED 0
#endif

/* ---- limits ------------------------------------------------------------------------------------------------- */

int sandbox_limits(enum sandbox_profile profile, size_t memory_bytes, int64_t file_bytes, struct err *err)
{
    /* A log that is a file cannot be written any more; that is an error of write(), not the end. */
    signal(SIGXFSZ, SIG_IGN);
    const rlim_t none = RLIM_INFINITY;
    const struct {
        int what;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, profile == SANDBOX_PROFILE_TRAINER ? 256 : 128},
        {RLIMIT_FSIZE, profile == SANDBOX_PROFILE_TRAINER ? none : (rlim_t)file_bytes},
        {RLIMIT_AS, memory_bytes > 0 && !SANDBOX_PROFILE_RELAXED ? (rlim_t)memory_bytes : none},
        {RLIMIT_CPU, profile == SANDBOX_PROFILE_CHECKER ? 60 : none},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit now;
        if (limits[i].value == none || getrlimit((__rlimit_resource_t)limits[i].what, &now) < 0) {
            continue;
        }
        rlim_t value = now.rlim_max < limits[i].value ? now.rlim_max : limits[i].value;
        struct rlimit next = {value, value};
        if (setrlimit((__rlimit_resource_t)limits[i].what, &next) < 0) {
            return err_errno(err, errno, "setrlimit");
        }
    }
    return 0;
}

/* ---- Landlock, without depending on the age of the kernel's header ------------------------------------------- */

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct path_attr {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));

enum {
    LANDLOCK_WRITE_FILE = 1 << 1,
    LANDLOCK_READ_FILE = 1 << 2,
    LANDLOCK_REMOVE_FILE = 1 << 5,
    LANDLOCK_MAKE_REG = 1 << 8,
    LANDLOCK_MAKE_SOCK = 1 << 9,
    LANDLOCK_TRUNCATE = 1 << 14,
    LANDLOCK_READ_DIR = 1 << 3,
    LANDLOCK_FS_ABI1 = (1 << 13) - 1,
    LANDLOCK_READS = LANDLOCK_READ_FILE,
    LANDLOCK_WRITES = LANDLOCK_READ_FILE | LANDLOCK_READ_DIR | LANDLOCK_WRITE_FILE | LANDLOCK_REMOVE_FILE |
                      LANDLOCK_MAKE_REG | LANDLOCK_MAKE_SOCK |
                      LANDLOCK_TRUNCATE,
    LANDLOCK_KEEPS = LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE | LANDLOCK_REMOVE_FILE | LANDLOCK_MAKE_REG |
                     LANDLOCK_TRUNCATE,
};

static int add_path(int ruleset, int fd, uint64_t access, struct err *err)
{
    struct path_attr path = {.access = access, .fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, 1, &path, 0) != 0) {
        return err_errno(err, errno, "landlock_add_rule");
    }
    return 0;
}

static int restrict_self(int ruleset, uint64_t handled, const struct sandbox_paths *paths, struct err *err)
{
    int r = 0;
    for (int i = 0; i < paths->n_read && r == 0; i++) {
        r = add_path(ruleset, paths->read_fds[i], LANDLOCK_READS & handled, err);
    }
    for (int i = 0; i < paths->n_write && r == 0; i++) {
        r = add_path(ruleset, paths->write_fds[i], LANDLOCK_WRITES & handled, err);
    }
    for (int i = 0; i < paths->n_keep && r == 0; i++) {
        r = add_path(ruleset, paths->keep_fds[i], LANDLOCK_KEEPS & handled, err);
    }
    if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)) {
        r = err_errno(err, errno, "landlock_restrict_self");
    }
    return r;
}

int sandbox_landlock(const struct sandbox_paths *paths, struct err *err)
{
    if (SANDBOX_PROFILE_RELAXED) {
        return 0;
    }
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    if (abi < 1) {
        return 0;
    }
    struct ruleset_attr rules = {.fs = LANDLOCK_FS_ABI1};
    rules.fs |= abi >= 2 ? 1u << 13 : 0; /* REFER, Linux 5.19 */
    rules.fs |= abi >= 3 ? 1u << 14 : 0; /* TRUNCATE, 6.2 */
    rules.fs |= abi >= 5 ? 1u << 15 : 0; /* IOCTL_DEV, 6.10 */
    rules.net = abi >= 4 ? 3 : 0;        /* TCP bind and connect, 6.7 */
    rules.scoped = abi >= 6 ? 3 : 0;     /* abstract unix sockets and signals, 6.12 */
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0) {
        return err_errno(err, errno, "landlock_create_ruleset");
    }
    int r = restrict_self(fd, rules.fs, paths, err);
    close(fd);
    return r < 0 ? r : (int)abi;
}

/* ---- seccomp ------------------------------------------------------------------------------------------------- */

static const int common_calls[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(close),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(fadvise64), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
    /* a thread of libzmq that was made but has not run yet when the filter goes on needs these: */
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_setscheduler), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo), /* glibc's qsort asks for the machine's memory before it sorts more than 1 KiB */
};
static const int trainer_calls[] = {
    SCMP_SYS(clone3), SCMP_SYS(mbind), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
    SCMP_SYS(get_mempolicy), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(flock), SCMP_SYS(copy_file_range), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(uname), SCMP_SYS(accept4),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(eventfd2), SCMP_SYS(epoll_create1),
    SCMP_SYS(pipe2), SCMP_SYS(getdents64), SCMP_SYS(dup), SCMP_SYS(prlimit64), SCMP_SYS(getcpu), SCMP_SYS(times),
    SCMP_SYS(geteuid), SCMP_SYS(getuid),
};

static const int keep_calls[] = {
    SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlinkat),
};

struct filter {
    scmp_filter_ctx context;
    int failed; /* first error */
};

static void allow(struct filter *f, int call)
{
    int r = seccomp_rule_add(f->context, SCMP_ACT_ALLOW, call, 0);
    f->failed = f->failed < 0 ? f->failed : r;
}

static void allow_if(struct filter *f, int call, struct scmp_arg_cmp condition)
{
    int r = seccomp_rule_add(f->context, SCMP_ACT_ALLOW, call, 1, condition);
    f->failed = f->failed < 0 ? f->failed : r;
}

static void refuse(struct filter *f, int call, int errno_value)
{
    int r = seccomp_rule_add(f->context, SCMP_ACT_ERRNO((uint32_t)errno_value), call, 0);
    f->failed = f->failed < 0 ? f->failed : r;
}

/* Puts the filter on and frees it. */
static int load(struct filter *f, struct err *err)
{
    if (f->failed == 0) {
        f->failed = seccomp_load(f->context);
    }
    seccomp_release(f->context);
    return f->failed < 0 ? err_set(err, ERR_UNSUPPORTED, "seccomp: %s", strerrordesc_np(-f->failed)) : 0;
}

static void add_common(struct filter *f)
{
    for (size_t i = 0; i < sizeof common_calls / sizeof common_calls[0]; i++) {
        allow(f, common_calls[i]);
    }
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GETFD, 0));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GET_SEALS, 0)); /* slab_map */
    allow_if(f, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)); /* abort() */
    allow_if(f, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
}

/* No new executable memory, no threads, files for reading only; those of the kept folder, which Landlock knows, for
 * writing too. */
static void add_worker(struct filter *f, bool keeps)
{
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    if (keeps) {
        allow(f, SCMP_SYS(openat));
        for (size_t i = 0; i < sizeof keep_calls / sizeof keep_calls[0]; i++) {
            allow(f, keep_calls[i]);
        }
        allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_OFD_SETLK, 0));
    } else {
        allow_if(f, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
    }
    allow_if(f, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    allow_if(f, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* oneDNN generates code; which files may be written is Landlock's matter. */
static void add_trainer(struct filter *f)
{
    for (size_t i = 0; i < sizeof trainer_calls / sizeof trainer_calls[0]; i++) {
        allow(f, trainer_calls[i]);
    }
    allow(f, SCMP_SYS(openat));
    allow(f, SCMP_SYS(open));
    allow(f, SCMP_SYS(mmap));
    allow(f, SCMP_SYS(mprotect));
    allow_if(f, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, 0x00010000 /* CLONE_THREAD */, 0x00010000));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETLK, 0));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFD, 0));
    allow_if(f, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0));
}

/* What a sanitizer's run-time never calls itself is refused even there; all else is allowed. */
static const int relaxed_refused[] = {
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(execve),
    SCMP_SYS(execveat), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare),
    SCMP_SYS(setns), SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd), SCMP_SYS(bpf), SCMP_SYS(keyctl),
    SCMP_SYS(add_key), SCMP_SYS(perf_event_open), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd), SCMP_SYS(memfd_create), SCMP_SYS(open_by_handle_at), SCMP_SYS(kill), SCMP_SYS(chdir),
    SCMP_SYS(fchdir), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(personality), SCMP_SYS(shmget),
};
static const int relaxed_keeper_refused[] = {SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlinkat)};
static const int relaxed_worker_refused[] = {
    SCMP_SYS(rename), SCMP_SYS(unlink), SCMP_SYS(rmdir),
    SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
    SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(truncate), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
    SCMP_SYS(chown), SCMP_SYS(creat),
};

static void refuse_all(struct filter *f, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        refuse(f, calls[i], EPERM);
    }
}

static int relaxed(enum sandbox_profile profile, bool keeps, struct err *err)
{
    struct filter f = {.context = seccomp_init(SCMP_ACT_ALLOW)};
    if (f.context == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "the kernel has no seccomp filters");
    }
    seccomp_attr_set(f.context, SCMP_FLTATR_CTL_TSYNC, 1);
    refuse_all(&f, relaxed_refused, sizeof relaxed_refused / sizeof relaxed_refused[0]);
    if (profile != SANDBOX_PROFILE_TRAINER) {
        refuse_all(&f, relaxed_worker_refused, sizeof relaxed_worker_refused / sizeof relaxed_worker_refused[0]);
        const size_t n = sizeof relaxed_keeper_refused / sizeof relaxed_keeper_refused[0];
        refuse_all(&f, relaxed_keeper_refused, keeps ? 0 : n);
    }
    return load(&f, err);
}

bool sandbox_can_keep(int landlock_abi)
{
    return SANDBOX_PROFILE_RELAXED || landlock_abi > 0;
}

int sandbox_seccomp(enum sandbox_profile profile, bool keeps, struct err *err)
{
    if (SANDBOX_PROFILE_RELAXED) {
        return relaxed(profile, keeps, err);
    }
    struct filter f = {.context = seccomp_init(SCMP_ACT_KILL_PROCESS)};
    if (f.context == NULL) {
        return err_set(err, ERR_UNSUPPORTED, "the kernel has no seccomp filters");
    }
    seccomp_attr_set(f.context, SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(f.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    add_common(&f);
    if (profile == SANDBOX_PROFILE_TRAINER) {
        add_trainer(&f);
    } else {
        add_worker(&f, keeps);
        refuse(&f, SCMP_SYS(clone3), ENOSYS);
    }
    return load(&f, err);
}

const char *sandbox_name(int landlock_abi, int seccomp_on)
{
    if (SANDBOX_PROFILE_RELAXED) {
        return seccomp_on ? "relaxed (sanitizer build)" : "off";
    }
    if (landlock_abi > 0) {
        return seccomp_on ? "landlock+seccomp" : "landlock";
    }
    return seccomp_on ? "seccomp" : "off";
}
