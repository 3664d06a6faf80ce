#include "trainer/control.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

void control_init(struct control *control, int fd)
{
    control->fd = fd;
    pthread_mutex_init(&control->lock, NULL);
}

int control_send(struct control *control, enum msg_id type, const void *body, struct err *err)
{
    pthread_mutex_lock(&control->lock);
    int rc = child_send(control->fd, type, body, NULL, err);
    pthread_mutex_unlock(&control->lock);
    return rc;
}

int control_try(struct control *control, enum msg_id type, const void *body)
{
    struct pollfd poll_fd = {.fd = control->fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, 0) != 1 || (poll_fd.revents & POLLOUT) == 0) {
        return 0;
    }
    return control_send(control, type, body, NULL) == 0;
}

void control_log(struct control *control, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct msg_child_log body = {.level = level, .text = text};
    control_send(control, MSG_CHILD_LOG, &body, NULL);
}

void control_failed(struct control *control, const struct err *failure)
{
    struct msg_error body = {
        .code = failure->code, .line = failure->line, .path = failure->path, .text = failure->text};
    control_send(control, MSG_CHILD_FAILED, &body, NULL);
}

void control_paused(struct control *control, const struct err *reason)
{
    struct msg_child_paused body = {.code = reason->code, .text = reason->text};
    control_send(control, MSG_CHILD_PAUSED, &body, NULL);
}
