module chainbuild

go 1.26
