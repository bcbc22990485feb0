# The request: a text file of `key<TAB>value` lines. Keys may repeat.

"The request's values by key: a `Vector{Any}` of strings for each."
function read_request(path::String)
    request = Dict{String,Any}()
    for line in split(read(path, String), '\n')
        isempty(line) && continue
        tab = findfirst(isequal('\t'), line)
        tab === nothing && continue
        key = String(SubString(line, 1, prevind(line, tab)))
        values = get(request, key, nothing)
        if values === nothing
            values = Any[]
            request[key] = values
        end
        push!(values::Vector{Any}, String(SubString(line, nextind(line, tab))))
    end
    return request
end

"All values of `key`."
values_of(request::Dict{String,Any}, key::String) = get(request, key, Any[])::Vector{Any}

"The value of `key`, or `default`."
function value_of(request::Dict{String,Any}, key::String, default::String="")
    values = values_of(request, key)
    return isempty(values) ? default : values[end]::String
end
