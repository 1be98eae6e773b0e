/* ctl_certs.c - smimectl certs find: every certificate that every directory has for an address, ranked as the gate ranks
 * them (pki/candidate.h), with the reason of each refused one.
 */
#include "milter/ctl.h"
#include "milter/report.h"

static void print_table(const struct candidate_list *list)
{
	const struct candidate *candidate = NULL;
	const struct cert_info *info = NULL;
	size_t i;

	for (i = 0; i < list->n; i++) {
		candidate = &list->items[i];
		info = cert_info(candidate->cert);
		printf("%u\t%s\t%s\t%s\t%s\t%s\t%s\n", candidate->rank, candidate->usable ? "usable" : "refused",
		       info->serial, info->issuer, info->sha256, candidate->source, candidate->reason);
	}
}

int ctl_certs_find(struct ctl *ctl, struct err *err)
{
	struct candidate_list list = { .status = DIRECTORY_FAILED };
	struct address address;
	size_t i;

	if (ctl_address(ctl, ctl->args.operands.items[0], &address) != 0)
		return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 || ctl_candidates(ctl, &address, 1, &list, err) != 0)
		return -1;
	for (i = 0; i < list.asked_count; i++)
		fprintf(stderr, "asked %s\n", list.asked[i]);
	if (ctl->json && report_candidates(stdout, &list, err) != 0)
		return -1;
	if (!ctl->json)
		print_table(&list);
	if (list.status == DIRECTORY_FAILED)
		return err_set(err, ERR_TEMP, "%s", list.failure);
	return list.status == DIRECTORY_FOUND ? CTL_DONE : CTL_NOT_PASSED;
}
