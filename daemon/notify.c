#include "daemon/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/jobs.h"
#include "daemon/schedule.h"
#include "daemon/status.h"

struct notify {
    int fd; /* -1 without a service manager */
    struct sockaddr_un address;
    socklen_t address_size;
    int64_t watchdog_us; /* 0 = not asked for */
    int64_t last_us;
    char status[256];
};

static void send_text(const struct notify *notify, const char *text)
{
    if (notify->fd >= 0) {
        sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&notify->address, notify->address_size);
    }
}

static int64_t read_watchdog(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *usec = getenv("WATCHDOG_USEC");
    int64_t pid_value = 0;
    int64_t us = 0;
    if (usec == NULL || !doc_parse_int(usec, &us) || us <= 0) {
        return 0;
    }
    if (pid != NULL && (!doc_parse_int(pid, &pid_value) || pid_value != getpid())) {
        return 0;
    }
    return us;
}

void notify_open(struct daemon *daemon)
{
    struct notify *notify = calloc(1, sizeof(*notify));
    BUG_ON(notify == NULL);
    daemon->notify = notify;
    notify->fd = -1;
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path != NULL ? strlen(path) : 0;
    if (n < 2 || n >= sizeof(notify->address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, n);
    notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (path[0] == '@') {
        notify->address.sun_path[0] = '\0';
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    notify->watchdog_us = read_watchdog();
}

static void write_status(const struct daemon *daemon, char *buf, size_t size)
{
    snprintf(buf, size, "STATUS=%lld training, %lld waiting, %lld paused; %s",
             (long long)schedule_running(daemon),
             (long long)(jobs_count(daemon, JOB_QUEUED) + jobs_count(daemon, JOB_CHECKING)),
             (long long)jobs_count(daemon, JOB_PAUSED), daemon->status_url);
}

void notify_ready(struct daemon *daemon)
{
    char text[320];
    struct notify *notify = daemon->notify;
    write_status(daemon, notify->status, sizeof(notify->status));
    snprintf(text, sizeof(text), "READY=1\n%s\nMAINPID=%d", notify->status, getpid());
    send_text(notify, text);
    notify->last_us = 0;
    notify_tick(daemon);
}

void notify_tick(struct daemon *daemon)
{
    struct notify *notify = daemon->notify;
    char status[256];
    const char *why = NULL;
    write_status(daemon, status, sizeof(status));
    if (!daemon->stopping && strcmp(status, notify->status) != 0) {
        memcpy(notify->status, status, sizeof(status));
        send_text(notify, status);
    }
    if (notify->watchdog_us == 0 || clock_us() - notify->last_us < notify->watchdog_us / 3) {
        return;
    }
    if (!status_is_well(daemon, &why)) {
        log_put(daemon->log, LOG_LEVEL_ERROR, "the self-check fails; the watchdog is not fed",
                LOG_TEXT("why", why));
        return;
    }
    notify->last_us = clock_us();
    daemon->counters[COUNT_WATCHDOG]++;
    send_text(notify, "WATCHDOG=1");
}

void notify_stopping(struct daemon *daemon)
{
    send_text(daemon->notify, "STOPPING=1\nSTATUS=saving and ending");
}

void notify_close(struct daemon *daemon)
{
    if (daemon->notify != NULL && daemon->notify->fd >= 0) {
        close(daemon->notify->fd);
    }
    free(daemon->notify);
    daemon->notify = NULL;
}
