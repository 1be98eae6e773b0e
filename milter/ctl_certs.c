/* ctl_certs.c - smimectl certs find: every certificate that every directory has for an address, ranked as the gate ranks
 * them (pki/candidate.h), with the reason of each refused one.
 */
#include "milter/ctl.h"
#include "milter/report.h"

/* member: behind the certificates of a group's; NULL: not so. */
static void print_table(const struct candidate_list *list, const struct address *member)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct candidate *candidate = &list->items[i];
		const struct cert_info *info = cert_info(candidate->cert);

		printf("%u\t%s\t%s\t%s\t%s\t%s\t%s", candidate->rank, candidate->usable ? "usable" : "refused",
		       info->serial, info->issuer, info->sha256, candidate->source, candidate->reason);
		if (member != NULL)
			printf("\t%.*s", SLICE_ARGS(member->text));
		printf("\n");
	}
}

static void print_tables(const struct candidate_list *list)
{
	size_t i;

	print_table(list, NULL);
	for (i = 0; i < list->member_count; i++)
		print_table(&list->members[i].list, &list->members[i].address);
}

static void print_asked(const struct candidate_list *list)
{
	size_t i;

	for (i = 0; i < list->asked_count; i++)
		fprintf(stderr, "asked %s\n", list->asked[i]);
	if (list->missing != NULL)
		fprintf(stderr, "a group without certificates: %s\n", list->missing);
}

int ctl_certs_find(struct ctl *ctl, struct err *err)
{
	struct candidate_list list = { .status = DIRECTORY_FAILED };
	struct address address;

	if (ctl_address(ctl, ctl->args.operands.items[0], &address) != 0)
		return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 || ctl_candidates(ctl, &address, 1, &list, err) != 0)
		return -1;
	print_asked(&list);
	if (ctl->json && report_candidates(stdout, &list, err) != 0)
		return -1;
	if (!ctl->json)
		print_tables(&list);
	if (list.status == DIRECTORY_FAILED)
		return err_set(err, ERR_TEMP, "%s", list.failure);
	return list.status == DIRECTORY_FOUND ? CTL_DONE : CTL_NOT_PASSED;
}
