# Partitions: which of the new functions are compiled together.
#
# A function belongs where its identity says: its signature, the name of its method and its module, hashed. The set of all
# functions is divided by the bits of that hash, first the highest, until no part is heavier than PARTITION_WEIGHT. So a
# function that comes, goes or changes touches the partition that it is in, and no other. The higher half of the hash is that of
# the first argument's type alone: functions that come together, because something is called with a type for the first
# time, mostly share that type.

"How many LLVM instructions a partition holds at most, unless it is a single function."
const PARTITION_WEIGHT = 5000

"""
    write_partitions(request, native, mod, fvars, slots, used, methods, codes)

Write for each partition `part-K.bc`, its bitcode in canonical form, and `part-K.map`, which gives the names that it uses for
functions and slots their meaning: lines `name in the bitcode<TAB>name in index.txt`. The bodies of the functions are moved there. Files in debug
information have stable names there (files.jl). `codes` are the code instances of `methods`.
"""
function write_partitions(request::Dict{String,Any}, native::Ptr{Cvoid}, mod::Value, fvars::Vector{Value}, slots::Vector{Value},
                          used::Vector{Any}, methods::Vector{Any}, codes::Vector{Any})
    # Bodies that must be inlined (llvmcall's) have to be so before they can land in another partition.
    inline_always(mod)
    name_files(request, mod, value_of(request, "self") == "yes" ? own_methods() : methods)
    # What partitions define: the functions of the table, then what Julia emitted besides them.
    items = Value[]
    hashes = UInt64[]
    shared = address_map()
    identities!(items, hashes, shared, native, fvars, codes)
    for slot in slots
        insert_address!(shared, slot, KIND_SLOT)
    end
    for declaration in used
        insert_address!(shared, declaration::Value, KIND_BASE)
    end
    other_definitions!(items, hashes, shared, mod)
    weights = zeros(Int, length(items))
    order = Vector{Int}(undef, length(items))
    for i in 1:length(items)
        weights[i] = instruction_count(items[i])
        order[i] = i
    end
    labels = Any[]
    starts = divide(order, hashes, weights, labels)
    parts = length(starts) - 1
    scratch = value_of(request, "scratch")
    for part in 1:parts
        collect_garbage()
        members = Value[]
        weight = 0
        for k in starts[part]:starts[part + 1] - 1
            push!(members, items[order[k]])
            weight += weights[order[k]]
        end
        piece, names = make_piece(mod, members, shared)
        write_file(joinpath(scratch, string("part-", part, ".map")), names)
        path = joinpath(scratch, string("part-", part, ".bc"))
        ccall(:LLVMWriteBitcodeToFile, Cint, (Value, Cstring), piece, path) == 0 || fail(string("cannot write ", path))
        ccall(:LLVMDisposeModule, Cvoid, (Value,), piece)
        event(string("{\"event\":\"partition\",\"number\":", part, ",\"of\":", parts, ",\"weight\":", weight,
                     ",\"functions\":", length(members), ",\"label\":", json(labels[part]::String), "}"))
    end
    return nothing
end

instruction_count(v::Value) =
    is_function(v) ? Int(ccall(:_ZNK4llvm8Function19getInstructionCountEv, Cuint, (Value,), v)) : 1

"Append the module's other definitions: helpers of the emitted code and the cells that they keep state in."
function other_definitions!(items::Vector{Value}, hashes::Vector{UInt64}, shared::Vector{Any}, mod::Value)
    f = ccall(:LLVMGetFirstFunction, Value, (Value,), mod)
    while f != C_NULL
        if ccall(:LLVMIsDeclaration, Cint, (Value,), f) == 0 && insert_address!(shared, f, KIND_IMPORT)
            ensure_name(f, length(items))
            push!(items, f)
            push!(hashes, emitted_hash(f))
        end
        f = ccall(:LLVMGetNextFunction, Value, (Value,), f)
    end
    g = ccall(:LLVMGetFirstGlobal, Value, (Value,), mod)
    while g != C_NULL
        if ccall(:LLVMIsDeclaration, Cint, (Value,), g) == 0 && ccall(:LLVMIsGlobalConstant, Cint, (Value,), g) == 0 &&
           insert_address!(shared, g, KIND_IMPORT)
            ensure_name(g, length(items))
            push!(items, g)
            push!(hashes, emitted_hash(g))
        end
        g = ccall(:LLVMGetNextGlobal, Value, (Value,), g)
    end
    return nothing
end

"Give `v` a name if it has none, as the data of cfunctions since Julia 1.12: other partitions refer to it by name. `n` is a number of its own."
function ensure_name(v::Value, n::Int)
    value_name(v) == "" || return nothing
    name = string("unnamed_", n)
    ccall(:LLVMSetValueName2, Cvoid, (Value, Cstring, Csize_t), v, name, sizeof(name))
    return nothing
end

"The hash of what a definition is called and made of: its instructions and the names that they refer to."
function emitted_hash(v::Value)
    h = hash_text(FNV_START, without_counters(value_name(v)))
    is_function(v) || return scramble(h)
    block = ccall(:LLVMGetFirstBasicBlock, Value, (Value,), v)
    while block != C_NULL
        instruction = ccall(:LLVMGetFirstInstruction, Value, (Value,), block)
        while instruction != C_NULL
            h = hash_byte(h, ccall(:LLVMGetInstructionOpcode, Cint, (Value,), instruction) % UInt8)
            for i in 0:Int(ccall(:LLVMGetNumOperands, Cint, (Value,), instruction)) - 1
                operand = ccall(:LLVMGetOperand, Value, (Value, Cuint), instruction, i)
                kind = value_kind(operand)
                if kind == FUNCTION || kind == GLOBAL
                    h = hash_text(h, without_counters(value_name(operand)))
                end
            end
            instruction = ccall(:LLVMGetNextInstruction, Value, (Value,), instruction)
        end
        block = ccall(:LLVMGetNextBasicBlock, Value, (Value,), block)
    end
    return scramble(h)
end

"""
An emitted name without its counters: the digits at its end, or before the `_got` at its end; and those of the function that an
`llvmcall` is in, `julia_f_12u34`. The numbers of base functions, as in `base.12` and `slot.base.12`, are no counters.
"""
function without_counters(name::String)
    (startswith(name, "base.") || startswith(name, "slot.base.")) && return name
    stop = ncodeunits(name)
    tail = endswith(name, "_got") ? stop - 4 : stop
    first = before_digits(name, tail)
    if first < tail && first > 1 && codeunit(name, first) == UInt8('u')
        inner = before_digits(name, first - 1)
        inner < first - 1 && (first = inner)
    end
    return first == tail ? name : string(SubString(name, 1, first), SubString(name, tail + 1))
end

"The place of the last code unit of `name` up to `last` that is no digit, or 0."
function before_digits(name::String, last::Int)
    while last > 0 && 0x30 <= codeunit(name, last) <= 0x39
        last -= 1
    end
    return last
end

"""
    divide(order, hashes, weights, labels)

Sort `order` by hash and divide it. Returns where each part starts, and one past the end; `labels` gets for each part the bits
that its hashes have in common because they were divided by them.
"""
function divide(order::Vector{Int}, hashes::Vector{UInt64}, weights::Vector{Int}, labels::Vector{Any})
    starts = Int[]
    stack = Int[1, length(order) + 1, 63]
    while !isempty(stack)
        bit = pop!(stack)
        stop = pop!(stack)
        start = pop!(stack)
        stop > start || continue
        weight = 0
        for k in start:stop - 1
            weight += weights[order[k]]
        end
        if weight <= PARTITION_WEIGHT || bit < 0 || stop - start == 1
            sort_by_hash(order, hashes, start, stop - 1)
            push!(starts, start)
            push!(labels, leading_bits(hashes[order[start]], 63 - bit))
            continue
        end
        # The clear bits to the front.
        middle = start
        for k in start:stop - 1
            if (hashes[order[k]] >> bit) & 1 == 0
                order[k], order[middle] = order[middle], order[k]
                middle += 1
            end
        end
        push!(stack, middle, stop, bit - 1)
        push!(stack, start, middle, bit - 1)
    end
    push!(starts, length(order) + 1)
    return starts
end

"The first `n` bits of `h` as digits."
function leading_bits(h::UInt64, n::Int)
    digits = Vector{UInt8}(undef, n)
    for i in 1:n
        digits[i] = 0x30 + UInt8((h >> (64 - i)) & 1)
    end
    return String(digits)
end

"Sort `order[first:last]` by hash; of two that are alike in all that is hashed, the first that was found comes first. (Shell's method.)"
function sort_by_hash(order::Vector{Int}, hashes::Vector{UInt64}, first::Int, last::Int)
    gap = 1
    while 3 * gap < last - first
        gap = 3 * gap + 1
    end
    while gap > 0
        for k in first + gap:last
            x = order[k]
            h = hashes[x]
            j = k
            while j - gap >= first
                y = order[j - gap]
                hashes[y] > h || (hashes[y] == h && y > x) || break
                order[j] = y
                j -= gap
            end
            order[j] = x
        end
        gap = div(gap, 3)
    end
    return nothing
end

"Append the functions of the table that are new, with the hashes of their identities, in the order of `codes`."
function identities!(items::Vector{Value}, hashes::Vector{UInt64}, shared::Vector{Any}, native::Ptr{Cvoid}, fvars::Vector{Value}, codes::Vector{Any})
    last = nothing
    variant = 0
    for code in codes
        instance = instance_of(code::Core.CodeInstance)
        variant = instance === last ? min(variant + 1, 15) : 0
        last = instance
        ids = function_ids(native, code)
        for k in 1:2
            id = ids[k]
            if id > 0 && fvars[id] != C_NULL && insert_address!(shared, fvars[id], KIND_IMPORT)
                push!(items, fvars[id])
                push!(hashes, identity_hash(instance.def, instance, 4 * variant + k))
            end
        end
    end
    for f in fvars
        # Not in any method table: all there is to go by is what was emitted.
        if f != C_NULL && insert_address!(shared, f, KIND_IMPORT)
            push!(items, f)
            push!(hashes, emitted_hash(f))
        end
    end
    return nothing
end

"The identity of a function of `method`, hashed: `kind` is 1 for its invoke wrapper, 2 for its body, and 4 more for each newer code instance."
function identity_hash(method::Method, instance::Core.MethodInstance, kind::Int)
    types = Base.unwrap_unionall(instance.specTypes).parameters
    leader = scramble(hash_type(FNV_START, types[length(types) > 1 ? 2 : 1]))
    h = hash_text(hash_module(FNV_START, method.module), string(method.name))
    own = scramble(hash_type(h, instance.specTypes))
    # What belongs to one method instance agrees in all but the lowest bits.
    return (leader & 0xffffffff00000000) | ((own >> 32) & ~UInt64(63)) | UInt64(kind)
end

"Spread the differences of hashes over all bits (the finalizer of MurmurHash3)."
function scramble(h::UInt64)
    h = (h ⊻ (h >> 33)) * 0xff51afd7ed558ccd
    h = (h ⊻ (h >> 33)) * 0xc4ceb9fe1a85ec53
    return h ⊻ (h >> 33)
end

const FNV_START = 0xcbf29ce484222325

"FNV-1a."
hash_byte(h::UInt64, b::UInt8) = (h ⊻ b) * 0x00000100000001b3

function hash_text(h::UInt64, text::String)
    for i in 1:ncodeunits(text)
        h = hash_byte(h, codeunit(text, i))
    end
    return hash_byte(h, 0x00)
end

function hash_module(h::UInt64, m::Module)
    while true
        h = hash_text(h, string(nameof(m)))
        parent = parentmodule(m)
        parent === m && return h
        m = parent
    end
end

"The hash of type `t`, or of another parameter of a type, by names and structure: the same in every process."
function hash_type(h::UInt64, @nospecialize(t))
    stack = Any[t]
    while !isempty(stack)
        x = pop!(stack)
        if x isa DataType
            h = hash_module(hash_byte(h, 0x01), x.name.module)
            h = hash_text(h, string(x.name.name))
            for p in x.parameters
                push!(stack, p)
            end
            h = hash_byte(h, length(x.parameters) % UInt8)
        elseif x isa UnionAll
            h = hash_byte(h, 0x02)
            push!(stack, x.body, x.var.ub, x.var.lb)
        elseif x isa Union
            h = hash_byte(h, 0x03)
            push!(stack, x.b, x.a)
        elseif x isa TypeVar
            h = hash_text(hash_byte(h, 0x04), string(x.name))
        elseif x isa Symbol
            h = hash_text(hash_byte(h, 0x05), string(x))
        elseif x isa Int
            h = hash_text(hash_byte(h, 0x06), string(x))
        elseif x isa Tuple
            h = hash_byte(h, 0x07)
            for i in 1:nfields(x)
                push!(stack, getfield(x, i))
            end
        else
            # Some other value: its type has to do. Two that differ only here lie in the same partition.
            h = hash_byte(h, 0x08)
            push!(stack, typeof(x))
        end
    end
    return h
end
