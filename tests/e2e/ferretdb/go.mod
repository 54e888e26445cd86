// Which FerretDB the tests run, and (go.sum) that it is the one. What it needs itself says its own
// go.sum.
module nightjar/tests/ferretdb

go 1.22

require github.com/FerretDB/FerretDB v1.24.0
