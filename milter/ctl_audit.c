/* ctl_audit.c - smimectl audit verify: is the chain of audit lines whole (audit_chain.h)? Reads files line by line, as an
 * ordinary user who may read them; needs no configuration.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "milter/audit_chain.h"
#include "milter/ctl.h"

struct verification {
	struct audit_last last;
	uint64_t first_seq;
	uint64_t lines;
	uint64_t findings;
};

static int verify_line(struct verification *all, const char *path, uint64_t number, struct slice line, struct err *err)
{
	enum audit_link link;

	if (audit_link(&all->last, line, &link, err) != 0)
		return -1;
	if (link != AUDIT_GOOD && link != AUDIT_FIRST)
		printf("%s:%" PRIu64 ": %s\n", path, number, audit_link_names[link]);
	/* What a crash left half written was never answered for, and the next line chains it. */
	if (link == AUDIT_NO_LINE)
		return 0;
	all->findings += link != AUDIT_GOOD && link != AUDIT_FIRST;
	all->lines++;
	if (all->first_seq == 0)
		all->first_seq = all->last.seq;
	return 0;
}

static int verify_file(struct verification *all, const char *path, struct err *err)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	uint64_t number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int rc = -1;

	if (file == NULL)
		return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	while ((n = getline(&line, &size, file)) > 0) {
		n -= line[n - 1] == '\n';
		if (n > 0 && verify_line(all, path, ++number, slice_make(line, (size_t)n), err) != 0)
			goto out;
	}
	if (ferror(file))
		err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
	else
		rc = 0;
out:
	free(line);
	if (file != stdin)
		fclose(file);
	return rc;
}

int ctl_audit_verify(struct ctl *ctl, struct err *err)
{
	struct verification all = { .lines = 0 };

	audit_last_init(&all.last);
	for (size_t i = 0; i < ctl->args.operands.n; i++)
		if (verify_file(&all, ctl->args.operands.items[i], err) != 0)
			return -1;
	if (all.lines == 0) {
		printf("no audit line\n");
		return CTL_NOT_PASSED;
	}
	printf("%" PRIu64 " lines, seq %" PRIu64 " to %" PRIu64 ", last sha256 %s: %s\n", all.lines, all.first_seq, all.last.seq,
	       all.last.hash, all.findings == 0 ? "the chain is whole" : "the chain is broken");
	return all.findings == 0 ? CTL_DONE : CTL_NOT_PASSED;
}
