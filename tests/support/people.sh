#!/usr/bin/env bash
# people.sh - certificates made by openssl, for whole-process tests; sourced. In a directory: a root, an intermediate
# that signs, and NAME.key, NAME.crt, NAME.pem (certificate, key and chain) of each person. None of it comes from the
# gateway.

# new_key TYPE FILE - rsa, p256 or p384; PKCS#8, readable by its owner alone
new_key() {
	case $1 in
	rsa) set -- "$2" -algorithm RSA -pkeyopt rsa_keygen_bits:2048 ;;
	p256) set -- "$2" -algorithm EC -pkeyopt ec_paramgen_curve:P-256 ;;
	p384) set -- "$2" -algorithm EC -pkeyopt ec_paramgen_curve:P-384 ;;
	esac
	(umask 077 && openssl genpkey -out "$@" 2>/dev/null)
}

# new_ca DIR NAME - DIR/root.crt and DIR/ca.crt with their keys
new_ca() {
	mkdir -p "$1"
	new_key rsa "$1/root.key"
	new_key rsa "$1/ca.key"
	openssl req -x509 -new -key "$1/root.key" -subj "/O=$2/CN=$2 Root" -days 3650 -out "$1/root.crt" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
	openssl req -x509 -new -key "$1/ca.key" -CA "$1/root.crt" -CAkey "$1/root.key" -subj "/O=$2/CN=$2 Issuing CA" \
		-days 1825 -out "$1/ca.crt" -addext basicConstraints=critical,CA:TRUE,pathlen:0 \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

# new_person DIR NAME ADDRESS TYPE [DAYS] - DAYS below 0: expired
new_person() {
	local usage=digitalSignature,keyEncipherment
	[ "$4" = rsa ] || usage=digitalSignature,keyAgreement
	[ -s "$1/$2.key" ] || new_key "$4" "$1/$2.key"
	if [ "${5:-365}" -gt 0 ]; then
		openssl req -x509 -new -key "$1/$2.key" -CA "$1/ca.crt" -CAkey "$1/ca.key" -subj "/O=Test/CN=$2" \
			-days "${5:-365}" -out "$1/$2.crt" -addext basicConstraints=CA:FALSE -addext "keyUsage=critical,$usage" \
			-addext extendedKeyUsage=emailProtection -addext "subjectAltName=email:$3"
	else
		expired_person "$@" "$usage"
	fi
	(umask 077 && cat "$1/$2.crt" "$1/$2.key" "$1/ca.crt" > "$1/$2.pem")
}

# openssl req cannot make a certificate of the past; openssl ca can.
expired_person() {
	local dir
	dir=$(mktemp -d "$1/past.XXXXXX")
	: > "$dir/index"
	cat > "$dir/ca.cnf" <<-CNF
	[ca]
	default_ca = past
	[past]
	database = $dir/index
	new_certs_dir = $dir
	rand_serial = yes
	default_md = sha256
	policy = any
	x509_extensions = person
	[any]
	organizationName = supplied
	commonName = supplied
	[person]
	basicConstraints = CA:FALSE
	keyUsage = critical,$6
	extendedKeyUsage = emailProtection
	subjectAltName = email:$3
	CNF
	openssl req -new -key "$1/$2.key" -subj "/O=Test/CN=$2" -out "$dir/request"
	openssl ca -batch -notext -config "$dir/ca.cnf" -cert "$1/ca.crt" -keyfile "$1/ca.key" -in "$dir/request" \
		-out "$1/$2.crt" -startdate 20200101000000Z -enddate 20210101000000Z 2>/dev/null
	rm -rf "$dir"
}
