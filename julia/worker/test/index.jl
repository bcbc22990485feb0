# Tests of how ../base.jl reads the index of the base.

module Index

using Test

fail(message) = error(message)
value_of(request, key) = request[key]
include("../base.jl")

# As sysimage's TestIndexBytes has it: two code instances, two values, a module.
const WORDS = UInt32[0x58494243, 0x31303030, 2, 2, 1, 16, 0xffffffff, 3, 32, 1, 2, 48, 64, 96]

"What reading an index with the given bytes says, or the words."
function reading(bytes)
    return mktemp() do path, io
        write(io, bytes)
        close(io)
        try
            read_index_words(path)
        catch e
            sprint(showerror, e)
        end
    end
end
bytes(words) = collect(reinterpret(UInt8, words))

@testset "index" begin
    @test WORDS[1:2] == reinterpret(UInt32, collect(codeunits("CBIX0001")))
    @test reading(bytes(WORDS)) == WORDS
    for (from, to) in ((1, 0x58494244), (2, 0x32303030))
        other = copy(WORDS)
        other[from] = to
        @test occursin("is not of the form that this worker reads", reading(bytes(other)))
    end
    @test occursin("is not of the form that this worker reads", reading(UInt8[]))
    @test occursin("is not of the form that this worker reads", reading(bytes(WORDS[1:4])))
    for part in (bytes(WORDS)[1:end - 1], bytes(WORDS[1:end - 1]), [bytes(WORDS); 0x00], bytes([WORDS; 0x00000000]))
        @test occursin("is not as long as it says", reading(part))
    end

    codes = Core.svec("first", "second")
    index = Any[WORDS, Core.svec(codes, Core.svec(), Core.svec()), IdDict{Any,Any}(codes[1] => 1, codes[2] => 2), Any[UInt(0), UInt(0)], false]
    @test [base_function(index, row, part) for row in 1:2, part in (WRAPPER, BODY)] == [-1 3; 1 2]
    @test base_codes(index) === codes
    @test base_row(index, codes[2]) == 2 && base_row(index, "other") == 0
    @test has_base_code(index, codes[1]) && !has_base_code(index, "other")
    @test !is_on_worker_image(index) && !is_settled(index, codes[1])
    objects = GC.@preserve codes base_objects(UInt32[0, 0, 1, 1, 1, 0, 7, 7, 0, 0], Ptr{UInt8}(address_of(codes)))
    @test length(objects) == 3 && all(length(objects[i]) == 1 && objects[i][1] === codes for i in 1:3)
end

end
