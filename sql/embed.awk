# SPDX-License-Identifier: MIT
# Turns migrations/NNNN_name.sql into rows of a C table: {number, "name", "text"}.
# One run over all files in ascending order; the order and the numbering are checked here.

function fail(text)
{
	print FILENAME ": " text > "/dev/stderr"
	failed = 1
	exit 1
}

function close_row()
{
	if (count)
		print "\t},"
}

BEGIN {
	print "/* Made by embed.awk from the migrations: change those. */"
	print "#include \"sql/migrate_priv.h\"\n"
	print "const struct migration migrations[] = {"
}

FNR == 1 {
	close_row()
	base = FILENAME
	sub(/^.*\//, "", base)
	if (base !~ /^[0-9][0-9][0-9][0-9]_[a-z0-9_]+\.sql$/)
		fail("not named NNNN_name.sql")
	if (substr(base, 1, 4) + 0 != ++count)
		fail("number " count " expected here")
	name = substr(base, 6, length(base) - 9)
	print "\t{\n\t\t" count ", \"" name "\","
}

{
	gsub(/\\/, "&&")
	gsub(/"/, "\\\"")
	print "\t\t\"" $0 "\\n\""
}

END {
	if (failed)
		exit 1
	close_row()
	print "};"
	print "const size_t migrations_count = " count ";"
}
