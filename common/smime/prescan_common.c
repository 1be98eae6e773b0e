/* prescan_common.c - what scans of SignedData and of envelopes have in common: items that must be there, ends,
 * versions, algorithms, names. Called by prescan*.c. No state, thread-safe. */
#include "smime/prescan_internal.h"

int prescan_malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_MESSAGE, "%s malformed", what);
}

int prescan_take(struct der *der, unsigned tag, struct der_item *item, const char *what, struct err *err)
{
	if (der_take(der, tag, item) != 1)
		return err_set(err, ERR_MESSAGE, "%s missing or malformed", what);
	return 0;
}

int prescan_end(const struct der *der, const char *what, struct err *err)
{
	if (der->rest.n != 0)
		return err_set(err, ERR_MESSAGE, "%s has bytes behind it", what);
	return 0;
}

int prescan_version(struct der *der, unsigned highest, const char *what, struct err *err)
{
	struct der_item item;

	if (prescan_take(der, DER_INTEGER, &item, what, err) != 0)
		return -1;
	if (item.content.n != 1 || (unsigned char)item.content.p[0] > highest)
		return err_set(err, ERR_MESSAGE, "%s unknown", what);
	return 0;
}

int prescan_algorithm(const struct der_item *item, struct prescan_algorithm *algorithm)
{
	struct der inside = der_inside(item);
	struct der_item oid, parameters;
	int got;

	*algorithm = (struct prescan_algorithm){ 0 };
	if (item->tag != DER_SEQUENCE || der_take(&inside, DER_OID, &oid) != 1 || oid.content.n == 0)
		return -1;
	algorithm->oid = oid.whole;
	got = der_next(&inside, &parameters);
	if (got < 0 || inside.rest.n != 0)
		return -1;
	if (got == 1)
		algorithm->parameters = parameters.whole;
	return 0;
}

int prescan_take_algorithm(struct der *der, struct prescan_algorithm *algorithm, const char *what, struct err *err)
{
	struct der_item item;

	if (prescan_take(der, DER_SEQUENCE, &item, what, err) != 0)
		return -1;
	return prescan_algorithm(&item, algorithm) == 0 ? 0 : prescan_malformed(err, what);
}

int prescan_issuer_serial(struct der *der, const char *what, struct slice *issuer, struct slice *serial,
			  struct err *err)
{
	struct der_item item, name, number;
	struct der inside;

	if (prescan_take(der, DER_SEQUENCE, &item, what, err) != 0)
		return -1;
	inside = der_inside(&item);
	if (der_take(&inside, DER_SEQUENCE, &name) != 1 || der_take(&inside, DER_INTEGER, &number) != 1 ||
	    number.content.n == 0 || inside.rest.n != 0)
		return prescan_malformed(err, what);
	*issuer = name.whole;
	*serial = number.whole;
	return 0;
}

int prescan_counted(const struct der_item *set, size_t limit, const char *what, size_t *count, struct err *err)
{
	long n = der_count(der_inside(set), limit);

	if (n < 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652: %s malformed", what);
	if ((size_t)n > limit)
		return err_set(err, ERR_LIMIT, "more than %zu %s", limit, what);
	*count = (size_t)n;
	return 0;
}
