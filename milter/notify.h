/* notify.h - tells systemd how the service is (sd_notify(3)'s datagram, written here: no libsystemd needed). */
#ifndef MILTER_NOTIFY_H
#define MILTER_NOTIFY_H

#include <stdint.h>

/* Sends the lines, e.g. "READY=1\nSTATUS=…", to $NOTIFY_SOCKET; nothing happens without one. Errors are ignored: the
 * service runs as well without being watched. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "RELOADING=1" with the time that Type=notify-reload wants. */
void notify_reloading(void);

/* Milliseconds between two WATCHDOG=1 (half of what systemd allows), -1 when it does not watch this process. */
int64_t notify_watchdog_ms(void);

#endif
