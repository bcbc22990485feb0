# Installing the program from a release, into a folder of this package in the depot:
#
#     scratchspaces/UUID/HASH/       a release, as its archive has it; HASH are the first 16 digits of the archive's SHA-256
#     scratchspaces/UUID/current     the HASH of the one that is used
#
# That is where packages keep such things (the package Scratch), and `Pkg.gc()` removes it when the package is gone.

import SHA

const UUID = "6d1f6a5c-3c0b-4f0e-9a51-0b7c5f4f8e21"

scratch() = joinpath(first(DEPOT_PATH), "scratchspaces", UUID)

"The program that was installed last, or `nothing`."
function installed()
    isempty(DEPOT_PATH) && return nothing
    current = joinpath(scratch(), "current")
    isfile(current) || return nothing
    path = joinpath(scratch(), String(chomp(read(current, String))), "bin", "chainbuild")
    return isfile(path) ? path : nothing
end

"""
    ChainBuild.install(archive; sha256 = nothing) -> String

Install chainbuild from the archive of a release, a file or a URL, and return the path of the program, which is used from then on where neither
`CHAINBUILD` nor the path names one. The archive has to have the sum that is given, or the one that the file `SHA256SUMS` beside it lists.
A release that was installed before is removed.
"""
function install(archive::AbstractString; sha256::Union{Nothing,AbstractString} = nothing)
    (Sys.islinux() && Sys.ARCH === :x86_64) || error("chainbuild runs on Linux on x86-64 only")
    mkpath(scratch())
    mktempdir(scratch()) do work
        file = fetched(archive, joinpath(work, "archive"))
        wanted = sha256 === nothing ? listed_sum(archive, work) : lowercase(String(sha256))
        found = open(io -> bytes2hex(SHA.sha256(io)), file)
        found == wanted || error(string(archive, " is not what was released: its sum is ", found, " and not ", wanted, "; nothing was installed"))
        tree = mkdir(joinpath(work, "tree"))
        run(`tar -xzf $file -C $tree --strip-components=1 --no-same-owner`)
        program = joinpath(tree, "bin", "chainbuild")
        isfile(program) || error(string(archive, " is no release of chainbuild: it has no bin/chainbuild"))
        success(`$program --version`) || error(string("the program in ", archive, " does not run on this machine"))
        name = found[1:16]
        rm(joinpath(scratch(), name); recursive = true, force = true)
        mv(tree, joinpath(scratch(), name))
        write(joinpath(work, "current"), name, '\n')
        mv(joinpath(work, "current"), joinpath(scratch(), "current"); force = true)
        for other in readdir(scratch())
            # Folders of others that install at the same time have longer names, and no sixteen digits.
            other != name && occursin(r"^[0-9a-f]{16}$", other) && rm(joinpath(scratch(), other); recursive = true, force = true)
        end
    end
    return installed()::String
end

is_url(name) = occursin("://", name)

"The file, or a copy of what the URL leads to."
function fetched(name, to)
    if is_url(name)
        return download(String(name), to)
    end
    isfile(name) || error(string("there is no file ", name, ": give the archive of a release, or a URL"))
    return String(name)
end

"The sum that `SHA256SUMS` beside the archive lists for it."
function listed_sum(archive, work)
    place = is_url(archive) ? String(archive) : abspath(archive)
    name = String(last(split(place, '/')))
    sums = string(chop(place; tail = length(name)), "SHA256SUMS")
    is_url(archive) || isfile(sums) || error(string("there is no ", sums, " to check ", archive, " with: put it there, or give the sum as sha256"))
    for line in eachline(fetched(sums, joinpath(work, "sums")))
        fields = split(line)
        length(fields) == 2 && lstrip(fields[2], '*') == name && return lowercase(String(fields[1]))
    end
    error(string(sums, " does not list ", name, ": take both from one release"))
end
