/* ctl_exchange.c - smimectl import-exchange: the configuration on stdout, what has no counterpart on stderr, the
 * certificate store into a file. What becomes of what is exchange.c's business.
 */
#include "milter/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "milter/exchange.h"

#define STORE "exchange.sst"
#define LIMIT_BYTES ((size_t)64 << 20)

static int write_store(const char *path, struct slice bytes, struct err *err)
{
	FILE *file = fopen(path, "wbx");
	int bad = file == NULL || fwrite(bytes.p, 1, bytes.n, file) != bytes.n;

	if (file != NULL && fclose(file) != 0)
		bad = 1;
	return bad == 0 ? 0 : err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
}

static int write_text(FILE *to, const struct buf *text)
{
	return text->n == 0 || fwrite(text->p, 1, text->n, to) == text->n ? 0 : -1;
}

static int show(const struct ctl *ctl, const char *path, const struct exchange *exchange, struct err *err)
{
	if (exchange->sst.n > 0 && ctl->args.out != NULL && mkdir(ctl->args.out, 0755) != 0 && errno != EEXIST)
		return err_set(err, ERR_CONFIG, "%s: %s", ctl->args.out, strerror(errno));
	if (exchange->sst.n > 0 && ctl->args.out != NULL && write_store(path, buf_slice(&exchange->sst), err) != 0)
		return -1;
	if (exchange->sst.n > 0 && ctl->args.out == NULL)
		fprintf(stderr, "SMIMECertificateIssuingCA: not written without --out; it belongs into %s\n", path);
	if (write_text(stderr, &exchange->notes) != 0 || write_text(stdout, &exchange->config) != 0)
		return err_set(err, ERR_TEMP, "writing the configuration: %s", strerror(errno));
	return CTL_DONE;
}

int ctl_import_exchange(struct ctl *ctl, struct err *err)
{
	const char *directory = ctl->args.out != NULL ? ctl->args.out : "/etc/smime-milter";
	const char *file = ctl->args.operands.items[0];
	const char *path = arena_printf(ctl->arena, "%s/" STORE, directory);
	struct exchange exchange = { .config = { 0 } };
	struct buf json;
	int rc = -1;

	buf_init(&json, 0);
	if (path == NULL) {
		err_memory(err);
		goto out;
	}
	if (strpbrk(path, "\"\\\n\r") != NULL) {
		err_set(err, ERR_CONFIG, "--out: a path that cannot stand in a configuration");
		goto out;
	}
	if (file_read(file, LIMIT_BYTES, &json, err) != 0)
		goto out;
	if (exchange_convert(ctl->arena, buf_slice(&json), path, &exchange, err) != 0) {
		err_prefix(err, "%s", file);
		goto out;
	}
	rc = show(ctl, path, &exchange, err);
out:
	exchange_clear(&exchange);
	buf_clear(&json);
	return rc;
}
