# Catalogues in, tables out.

"""
    read_catalogue(io)

Reads lines of `name body a e i Ω ω M`, angles in degrees; `#` starts a comment.
Returns a dictionary of named tuples by name.
"""
function read_catalogue(io::IO)
    found = Dict{String,NamedTuple{(:around, :elements),Tuple{Body{Float64},Elements{Float64}}}}()
    for (number, line) in enumerate(eachline(io))
        words = split(first(split(line, '#'; limit = 2)))
        isempty(words) && continue
        length(words) == 8 || throw(ParseFailure(number, line, "$(length(words)) words instead of 8"))
        numbers = map(words[3:8]) do word
            value = tryparse(Float64, word)
            value === nothing && throw(ParseFailure(number, line, "$(repr(word)) is no number"))
            value
        end
        angles = deg2rad.(numbers[3:6])
        found[words[1]] = (around = body(words[2]), elements = Elements(numbers[1:2]..., angles...))
    end
    return found
end
read_catalogue(text::AbstractString) = read_catalogue(IOBuffer(text))

const COLUMNS = (:time, :x, :y, :z, :speed)

cell(::Val{:time}, epoch, t, s) = Dates.format(epoch + Millisecond(round(Int, 1000t)), dateformat"yyyy-mm-dd HH:MM:SS")
cell(::Val{:speed}, epoch, t, s) = @sprintf("%.4f", norm(s.velocity))
cell(::Val{axis}, epoch, t, s) where {axis} = @sprintf("%.2f", getfield(s.position, axis))

"    write_table(io, trajectory; epoch, columns) writes right-aligned columns."
function write_table(io::IO, track; epoch::DateTime = LOADED[], columns = COLUMNS)
    rows = [[cell(Val(column), epoch, t, s) for column in columns] for (t, s) in track]
    heads = [string(column) for column in columns]
    widths = [maximum(length, [row[k] for row in [[heads]; rows]]) for k in eachindex(heads)]
    for row in [[heads]; rows]
        println(io, join(map(lpad, row, widths), "  "))
    end
end

"    table(trajectory; options...) is what `write_table` writes, as a string."
table(track; options...) = sprint(io -> write_table(io, track; options...))
