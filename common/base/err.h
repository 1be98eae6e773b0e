/* err.h - how a function says why it failed.
 *
 * A fallible function returns 0 or -1 (look-ups: 1 found, 0 none, -1 could not ask) and fills `struct err *`, its
 * last argument, when it returns -1. The text names the rule that was broken and the object. It may carry untrusted
 * bytes only as `err_set` lets them through: control characters and bytes above 0x7e are written as \xNN.
 * Who turns a class into something outside: milter/reply.c (SMTP reply), milter/ctl.c (exit code), nobody else.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_class {
	ERR_NONE = 0,
	ERR_TEMP,	/* could not ask or could not do now: try later */
	ERR_MESSAGE,	/* the message broke a rule of its format */
	ERR_POLICY,	/* the configured policy refuses */
	ERR_LIMIT,	/* a configured limit was exceeded */
	ERR_CONFIG,	/* the configuration is wrong; text begins with FILE:LINE where known */
	ERR_BUG		/* cannot happen */
};

struct err {
	enum err_class class;
	char text[512];	/* one line, NUL-terminated, printable ASCII */
};

/* Sets class and text (printf-like) and returns -1, so that `return err_set(...)` reads well. `err` may be NULL. */
int err_set(struct err *err, enum err_class class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "format: " before the text that is there; the class stays. Returns -1. `err` may be NULL. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory as ERR_TEMP ("out of memory"). Returns -1. */
int err_memory(struct err *err);

#endif
