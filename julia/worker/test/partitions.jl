# Tests of what partitions are made by: identities, their division, and the small tools around them.

module Parts

using Test

const SOURCES = [joinpath(@__DIR__, "..", file) for file in ("events.jl", "request.jl", "native.jl", "pieces.jl", "partitions.jl")]
foreach(include, SOURCES)

"Items with the given hashes and weights, divided."
function divided(hashes, weights)
    order = collect(1:length(hashes))
    labels = Any[]
    starts = divide(order, hashes, weights, labels)
    return order, starts, labels
end

@testset "divide" begin
    hashes = [scramble(UInt64(i)) for i in 1:500]
    weights = [100 + 7 * (i % 90) for i in 1:500]
    order, starts, labels = divided(hashes, weights)
    @test sort(order) == 1:500
    @test issorted(hashes[order])
    @test starts[1] == 1 && starts[end] == 501 && issorted(starts; lt=<=)
    @test length(labels) == length(starts) - 1 && allunique(labels)
    for k in 1:length(labels)
        members = order[starts[k]:starts[k + 1] - 1]
        @test sum(weights[members]) <= PARTITION_WEIGHT
        @test all(startswith(string(hashes[m], base=2, pad=64), labels[k]) for m in members)
    end
    # No label begins another: so the labels say where a new function goes.
    @test !any(a != b && startswith(a, b) for a in labels, b in labels)

    # What comes or goes changes the partition that it is in and no other.
    sets(hashes, weights) = begin
        order, starts, labels = divided(hashes, weights)
        Dict(labels[k] => Set(hashes[order[starts[k]:starts[k + 1] - 1]]) for k in 1:length(labels))
    end
    before = sets(hashes, weights)
    after = sets(hashes[1:499], weights[1:499])
    @test count(label -> get(after, label, nothing) != before[label], collect(keys(before))) <= 2

    # The order in which functions are found does not matter.
    @test sets(reverse(hashes), reverse(weights)) == before

    # A function that is too heavy is a partition of its own; one partition is enough for little; none for nothing.
    @test length(divided(hashes[1:2], [3 * PARTITION_WEIGHT, 1])[3]) == 2
    @test divided(hashes[1:3], [1, 2, 3])[3] == [""]
    @test divided(UInt64[], Int[])[3] == []

    # Equal hashes: those found first come first, and do not keep the division going.
    order, starts, labels = divided(fill(hashes[1], 3), fill(PARTITION_WEIGHT, 3))
    @test order == [1, 2, 3]
end

# An identity is the same in every process: these numbers must only change with a reason, since they decide about what is compiled again.
@testset "identity" begin
    types = (Int, Vector{Float64}, Tuple{Int,Vararg{String}}, Union{Int,Nothing}, Val{(:a, 2)}, Array{T,1} where T<:Real, Type{Int})
    hashes = [hash_type(FNV_START, t) for t in types]
    @test allunique(hashes)
    program = "foreach(include, $(repr(SOURCES))); print([hash_type(FNV_START, t) for t in ($(join(map(repr, types), ", ")))])"
    @test read(`$(Base.julia_cmd()) --startup-file=no -e $program`, String) == string(hashes)
    method = first(methods(sum, (Vector{Int},)))
    instance(t) = ccall(:jl_specializations_get_linfo, Any, (Any, Any, Any), method, t, Core.svec())
    ints = instance(Tuple{typeof(sum),Vector{Int}})
    floats = instance(Tuple{typeof(sum),Vector{Float64}})
    @test identity_hash(method, ints, 1) ⊻ identity_hash(method, ints, 2) < 64
    # The first argument's type decides about the higher half.
    @test identity_hash(method, ints, 1) >> 32 != identity_hash(method, floats, 1) >> 32
end

@testset "names" begin
    @test without_counters("julia_foo_123") == "julia_foo_"
    @test without_counters("jlplt_jl_alloc_array_1d_12_got") == "jlplt_jl_alloc_array_1d__got"
    @test without_counters("julia_foo_12u34") == "julia_foo_"
    @test without_counters("menu12") == "menu"
    @test without_counters("u12") == "u"
    @test without_counters("foo") == "foo"
    @test without_counters("12") == ""
    @test without_counters("slot.base.12") == "slot.base.12"
    @test leading_bits(0xa000000000000000, 4) == "1010"
    @test leading_bits(UInt64(0), 0) == ""
end

@testset "address map" begin
    map = address_map()
    for i in 1:5000
        @test insert_address!(map, Value(16 * i), Value(i))
    end
    @test !insert_address!(map, Value(16 * 77), Value(1))
    @test all(find_address(map, Value(16 * i)) == Value(i) for i in 1:5000)
    @test find_address(map, Value(8)) == C_NULL
end

@testset "events and requests" begin
    @test json("a\"b\\c\nd\te\x01é") == "\"a\\\"b\\\\c\\u000ad\\u0009e\\u0001é\""
    mktemp() do path, io
        write(io, "key\tvalue\nkey\tother\tpart\n\nmalformed\nempty\t\n")
        close(io)
        request = read_request(path)
        @test values_of(request, "key") == ["value", "other\tpart"]
        @test value_of(request, "key") == "other\tpart"
        @test value_of(request, "empty") == ""
        @test value_of(request, "missing", "default") == "default"
        @test values_of(request, "missing") == []
    end
end

end
