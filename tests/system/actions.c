#include "tests/system/actions.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int beside(struct place *p, const char *name, char path[TEST_PATH])
{
    return snprintf(path, TEST_PATH, "%s/%s", p->outside, name) < TEST_PATH ? 0 : -1;
}

static int read_passwd(struct place *p)
{
    (void)p;
    return opens("/etc/passwd", O_RDONLY);
}
static int read_secret(struct place *p)
{
    return opens(p->secret, O_RDONLY);
}
static int read_upwards(struct place *p)
{
    int fd = openat(p->blobs_fd, "../outside/secret", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}
static int write_secret(struct place *p)
{
    return opens(p->secret, O_WRONLY);
}
static int write_blob(struct place *p)
{
    return opens(p->blob, O_WRONLY);
}
static int truncate_blob_by_open(struct place *p)
{
    return opens(p->blob, O_RDONLY | O_TRUNC);
}
static int truncate_blob(struct place *p)
{
    return truncate(p->blob, 0);
}
static int write_inherited(struct place *p)
{
    return write(p->log_fd, "x", 1) == 1 ? 0 : -1;
}
static int create_file(struct place *p)
{
    char path[TEST_PATH];
    return beside(p, "new", path) < 0 ? -1 : opens(path, O_WRONLY | O_CREAT);
}
static int create_blob(struct place *p)
{
    int fd = openat(p->blobs_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}
static int unlink_secret(struct place *p)
{
    return unlink(p->secret);
}
static int unlink_blob(struct place *p)
{
    return unlink(p->blob);
}
static int rename_blob(struct place *p)
{
    return renameat(p->blobs_fd, "blob", p->blobs_fd, "other");
}
static int link_secret(struct place *p)
{
    return linkat(AT_FDCWD, p->secret, p->blobs_fd, "stolen", 0);
}
static int symlink_secret(struct place *p)
{
    return symlinkat(p->secret, p->blobs_fd, "stolen");
}
static int make_folder(struct place *p)
{
    char path[TEST_PATH];
    return beside(p, "folder", path) < 0 ? -1 : mkdir(path, 0700);
}
static int chmod_blob(struct place *p)
{
    return chmod(p->blob, 0777);
}
static int change_folder(struct place *p)
{
    return chdir(p->outside);
}
static int change_root(struct place *p)
{
    return chroot(p->outside);
}
static int make_tcp_socket(struct place *p)
{
    (void)p;
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}
static int make_unix_socket(struct place *p)
{
    (void)p;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}
static int connect_tcp(struct place *p)
{
    return connect(p->tcp_fd, (const struct sockaddr *)&p->tcp_address, sizeof p->tcp_address);
}
static int connect_unix(struct place *p)
{
    return connect(p->unix_fd, (const struct sockaddr *)&p->unix_address, sizeof p->unix_address);
}
static int bind_tcp(struct place *p)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(p->tcp_fd, (const struct sockaddr *)&any, sizeof any);
}
static int listen_tcp(struct place *p)
{
    return listen(p->tcp_fd, 1);
}
static int make_process(struct place *p)
{
    (void)p;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? -1 : waitpid(pid, NULL, 0) == pid ? 0 : -1;
}
static void *nothing(void *arg)
{
    return arg;
}
static int make_thread(struct place *p)
{
    (void)p;
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) != 0 ? -1 : pthread_join(thread, NULL);
}
static int run_program(struct place *p)
{
    (void)p;
    char *const argv[] = {(char[]){"true"}, NULL};
    char *const envp[] = {NULL};
    return execve("/bin/true", argv, envp); /* its exit status 0 means that it worked */
}
static int trace_victim(struct place *p)
{
    return (int)ptrace(PTRACE_ATTACH, p->victim, NULL, NULL);
}
static int kill_victim(struct place *p)
{
    return kill(p->victim, SIGCONT);
}
static int kill_parent(struct place *p)
{
    return kill(p->parent, 0);
}
static int open_pid(struct place *p)
{
    return syscall(SYS_pidfd_open, p->victim, 0) < 0 ? -1 : 0;
}
static int read_memory(struct place *p)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {p->memory, 1};
    return process_vm_readv(p->victim, &to, 1, &from, 1, 0) == 1 ? 0 : -1;
}
static int open_memory(struct place *p)
{
    (void)p;
    return opens("/proc/self/mem", O_RDWR);
}
static int raise_limit(struct place *p)
{
    (void)p;
    struct rlimit limit;
    return getrlimit(RLIMIT_NPROC, &limit) < 0 ? -1 : setrlimit(RLIMIT_NPROC, &limit);
}
static int allocate_much(struct place *p)
{
    (void)p;
    void *map = mmap(NULL, 4 * (size_t)ACTION_MEMORY_BYTES, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map == MAP_FAILED ? -1 : 0;
}
static int map_code(struct place *p)
{
    (void)p;
    void *map =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? -1 : 0;
}
static int protect_code(struct place *p)
{
    (void)p;
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? -1 : mprotect(map, 4096, PROT_READ | PROT_EXEC);
}
static int make_memfd(struct place *p)
{
    (void)p;
    return memfd_create("code", MFD_CLOEXEC) < 0 ? -1 : 0;
}
static int map_file_code(struct place *p)
{
    int fd = openat(p->blobs_fd, "blob", O_RDONLY | O_CLOEXEC);
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0;
}
static int mount_folder(struct place *p)
{
    char path[TEST_PATH];
    if (beside(p, "mount", path) < 0 || mount("none", path, "tmpfs", 0, "size=4k") < 0) {
        return -1;
    }
    return umount(path);
}
static int new_namespace(struct place *p)
{
    (void)p;
    return unshare(CLONE_NEWUTS);
}
static int other_namespace(struct place *p)
{
    return setns(p->namespace_fd, CLONE_NEWUTS);
}
static int make_io_uring(struct place *p)
{
    (void)p;
    uint32_t params[32] = {0};
    return syscall(SYS_io_uring_setup, 4, params) < 0 ? -1 : 0;
}
static int make_userfaultfd(struct place *p)
{
    (void)p;
    return syscall(SYS_userfaultfd, O_CLOEXEC | 1) < 0 ? -1 : 0;
}
static int make_bpf_map(struct place *p)
{
    (void)p;
    uint32_t attr[32] = {2, 4, 4, 1}; /* an array of one */
    return syscall(SYS_bpf, 0, attr, sizeof attr) < 0 ? -1 : 0;
}
static int read_keyring(struct place *p)
{
    (void)p;
    return syscall(SYS_keyctl, 0, -3, 1) < 0 ? -1 : 0;
}
static int put_key(struct place *p)
{
    (void)p;
    return syscall(SYS_add_key, "user", "millrace-test", "x", 1, -2) < 0 ? -1 : 0;
}
static int count_events(struct place *p)
{
    (void)p;
    struct {
        uint32_t type, size;
        uint64_t config, rest[14];
    } attr = {.type = 1, .size = 128};
    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) < 0 ? -1 : 0;
}
static int watch_files(struct place *p)
{
    (void)p;
    return inotify_init1(IN_CLOEXEC) < 0 ? -1 : 0;
}
static int be_dumpable(struct place *p)
{
    (void)p;
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static int outlive_parent(struct place *p)
{
    (void)p;
    return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}
static int change_user(struct place *p)
{
    (void)p;
    return setuid(getuid());
}
static int change_personality(struct place *p)
{
    (void)p;
    return personality(READ_IMPLIES_EXEC) < 0 ? -1 : 0;
}
static int share_memory(struct place *p)
{
    (void)p;
    return syscall(SYS_shmget, 0, 4096, 01600) < 0 ? -1 : 0;
}
static int query_device(struct place *p)
{
    int n = 0;
    return (int)syscall(SYS_ioctl, p->unix_fd, 0x541B, &n);
}

const struct action action_table[] = {
    {"read /etc/passwd", read_passwd, true, RELAXED_NO},
    {"read a file outside", read_secret, true, RELAXED_NO},
    {"read a file through ..", read_upwards, true, RELAXED_NO},
    {"write a file outside", write_secret, true, RELAXED_NO},
    {"write a blob", write_blob, true, RELAXED_NO},
    {"truncate a blob while opening it to read", truncate_blob_by_open, true, RELAXED_NO},
    {"truncate a blob", truncate_blob, true, RELAXED_WORKER},
    {"write through an inherited descriptor", write_inherited, false, RELAXED_NO},
    {"create a file outside", create_file, true, RELAXED_NO},
    {"create a blob", create_blob, true, RELAXED_NO},
    {"remove a file outside", unlink_secret, true, RELAXED_WORKER},
    {"remove a blob", unlink_blob, true, RELAXED_WORKER},
    {"rename a blob", rename_blob, true, RELAXED_WORKER},
    {"link a file", link_secret, true, RELAXED_WORKER},
    {"symlink a file", symlink_secret, true, RELAXED_WORKER},
    {"make a folder", make_folder, true, RELAXED_WORKER},
    {"chmod a blob", chmod_blob, true, RELAXED_WORKER},
    {"chdir", change_folder, true, RELAXED_ALL},
    {"chroot", change_root, true, RELAXED_ALL},
    {"make a TCP socket", make_tcp_socket, true, RELAXED_ALL},
    {"make a Unix socket", make_unix_socket, true, RELAXED_ALL},
    {"connect over TCP", connect_tcp, true, RELAXED_ALL},
    {"connect to a Unix socket", connect_unix, true, RELAXED_ALL},
    {"bind", bind_tcp, true, RELAXED_ALL},
    {"listen", listen_tcp, true, RELAXED_ALL},
    {"fork", make_process, true, RELAXED_NO},
    {"start a thread", make_thread, false, RELAXED_NO},
    {"exec", run_program, true, RELAXED_ALL},
    {"ptrace another process", trace_victim, true, RELAXED_NO},
    {"signal another process", kill_victim, true, RELAXED_ALL},
    {"signal the parent", kill_parent, true, RELAXED_ALL},
    {"pidfd_open", open_pid, true, RELAXED_ALL},
    {"read another process's memory", read_memory, true, RELAXED_NO},
    {"open /proc/self/mem", open_memory, true, RELAXED_NO},
    {"set a limit", raise_limit, false, RELAXED_NO},
    {"allocate over the limit", allocate_much, true, RELAXED_NO},
    {"map memory to write and execute", map_code, false, RELAXED_NO},
    {"make memory executable", protect_code, false, RELAXED_NO},
    {"memfd_create", make_memfd, true, RELAXED_ALL},
    {"map a file to execute", map_file_code, false, RELAXED_NO},
    {"mount", mount_folder, true, RELAXED_ALL},
    {"unshare", new_namespace, true, RELAXED_ALL},
    {"setns", other_namespace, true, RELAXED_ALL},
    {"io_uring_setup", make_io_uring, true, RELAXED_ALL},
    {"userfaultfd", make_userfaultfd, true, RELAXED_ALL},
    {"bpf", make_bpf_map, true, RELAXED_ALL},
    {"keyctl", read_keyring, true, RELAXED_ALL},
    {"add_key", put_key, true, RELAXED_ALL},
    {"perf_event_open", count_events, true, RELAXED_ALL},
    {"inotify_init", watch_files, true, RELAXED_NO},
    {"be dumpable again", be_dumpable, true, RELAXED_NO},
    {"outlive the parent", outlive_parent, true, RELAXED_NO},
    {"setuid", change_user, true, RELAXED_ALL},
    {"personality", change_personality, true, RELAXED_ALL},
    {"shmget", share_memory, true, RELAXED_ALL},
    {"ioctl", query_device, true, RELAXED_NO},
    {NULL, NULL, false, RELAXED_NO},
};
