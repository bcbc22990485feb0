# The canonical form of a partition: bitcode that is the same, byte for byte, whenever the code is the same.
#
# What varies between builds is taken out: addresses decide about the order in which Julia emits functions, counters are
# part of names. Functions that the partition defines come in the order of their identity; all else that it refers to comes in
# the order in which it is first referred to, and both are named by their position:
#   dN  a function that the partition defines       xN  a function of another partition
#   gN  a slot                                       bN  a function of the base
#   pN  private to the partition
# Names that the loader resolves (jl_apply_generic, memcpy, …) stay. What the others mean is in the partition's map, so it is no part
# of the code: an object fits wherever its names can be given a meaning of the same type.

"""
    canonicalize(piece, shared)

Bring module `piece` into canonical form. `shared` has the kind of each name that partitions share. Returns the map's text.
"""
function canonicalize(piece::Value, shared::Dict{String,Any})
    functions = Value[]
    globals = Value[]
    seen = address_set()
    f = ccall(:LLVMGetFirstFunction, Value, (Value,), piece)
    while f != C_NULL
        # The shared definitions; private ones are reached from them.
        if ccall(:LLVMIsDeclaration, Cint, (Value,), f) == 0 && ccall(:LLVMGetLinkage, Cint, (Value,), f) == 0
            push!(functions, f)
            insert_address!(seen, f)
        end
        f = ccall(:LLVMGetNextFunction, Value, (Value,), f)
    end
    defined = length(functions)
    visited = 0
    while visited < length(functions)
        visited += 1
        visit_function(functions[visited], functions, globals, seen)
    end
    out = IOBuffer()
    counters = Dict{String,Any}()
    for i in 1:length(functions)
        name_value(functions[i], i <= defined ? "d" : "x", shared, counters, out)
    end
    for g in globals
        name_value(g, "g", shared, counters, out)
    end
    relink(functions, ccall(:LLVMGetFirstFunction, Value, (Value,), piece), :LLVMGetNextFunction)
    relink(globals, ccall(:LLVMGetFirstGlobal, Value, (Value,), piece), :LLVMGetNextGlobal)
    canonicalize_debug_info(piece, functions)
    ccall(:LLVMSetSourceFileName, Cvoid, (Value, Cstring, Csize_t), piece, "partition", 9)
    return take!(out)
end

"Name `v` by its position and note what that means, unless its name is one that the loader resolves."
function name_value(v::Value, kind::String, shared::Dict{String,Any}, counters::Dict{String,Any}, out::IOBuffer)
    old = value_name(v)
    is_shared = haskey(shared, old)
    if is_shared
        kind == "d" || (kind = shared[old]::String)
    elseif ccall(:LLVMGetLinkage, Cint, (Value,), v) >= 8 # internal, private
        kind = "p"
    else
        return
    end
    n = get(counters, kind, 0)::Int
    counters[kind] = n + 1
    name = string(kind, n)
    set_name(v, name)
    is_shared && write(out, name, "\t", old, "\n")
    return
end

"Append the globals and functions that the code of `f` refers to, each when it is met first."
function visit_function(f::Value, functions::Vector{Value}, globals::Vector{Value}, seen::Vector{Any})
    block = ccall(:LLVMGetFirstBasicBlock, Value, (Value,), f)
    while block != C_NULL
        instruction = ccall(:LLVMGetFirstInstruction, Value, (Value,), block)
        while instruction != C_NULL
            for i in 0:Int(ccall(:LLVMGetNumOperands, Cint, (Value,), instruction)) - 1
                visit_constant(ccall(:LLVMGetOperand, Value, (Value, Cuint), instruction, i), functions, globals, seen)
            end
            instruction = ccall(:LLVMGetNextInstruction, Value, (Value,), instruction)
        end
        block = ccall(:LLVMGetNextBasicBlock, Value, (Value,), block)
    end
    return nothing
end

function visit_constant(v::Value, functions::Vector{Value}, globals::Vector{Value}, seen::Vector{Any})
    v == C_NULL && return nothing
    kind = ccall(:LLVMGetValueKind, Cint, (Value,), v)
    if kind == 5 || kind == 8     # Function, GlobalVariable
        insert_address!(seen, v) || return nothing
        if kind == 5
            push!(functions, v)
        else
            push!(globals, v)
            visit_constant(ccall(:LLVMGetInitializer, Value, (Value,), v), functions, globals, seen)
        end
    elseif 10 <= kind <= 13       # ConstantExpr, ConstantArray, ConstantStruct, ConstantVector
        for i in 0:Int(ccall(:LLVMGetNumOperands, Cint, (Value,), v)) - 1
            visit_constant(ccall(:LLVMGetOperand, Value, (Value, Cuint), v, i), functions, globals, seen)
        end
    end
    return nothing
end

"""
    relink(order, first, next)

Bring a module's list of functions or globals, which starts with `first`, into the given order; what is not in it comes last.
LLVM has no call for that. The list is an ilist (llvm/ADT/ilist_node.h): each value holds a node, a pointer to the previous node and
one to the next, at the same offset, and the ends are joined by a node of the module.
"""
function relink(order::Vector{Value}, first::Value, next::Symbol)
    step = dlsym_global(next)
    present = address_set()
    rest = Value[]
    for v in order
        insert_address!(present, v)
    end
    v = first
    count = 0
    while v != C_NULL
        count += 1
        insert_address!(present, v) && push!(rest, v)
        v = ccall(step, Value, (Value,), v)
    end
    count < 2 && return nothing
    count == length(order) + length(rest) || fail("the list of a module's values is not as expected")
    offset = node_offset(first, ccall(step, Value, (Value,), first))
    ends = unsafe_load(Ptr{Value}(first + offset))
    last = ends
    for values in (order, rest)
        for v in values
            unsafe_store!(Ptr{Value}(last + 8), v + offset)
            unsafe_store!(Ptr{Value}(v + offset), last)
            last = v + offset
        end
    end
    unsafe_store!(Ptr{Value}(last + 8), ends)
    unsafe_store!(Ptr{Value}(ends), last)
    return nothing
end

"Where in a value its list node is, found with the help of two neighbours."
function node_offset(a::Value, b::Value)
    for offset in 8:8:256
        if unsafe_load(Ptr{Value}(a + offset + 8)) == b + offset && unsafe_load(Ptr{Value}(b + offset)) == a + offset
            return offset
        end
    end
    fail("this LLVM keeps the lists of a module in another way")
    return 0
end

"Bring the functions of the table into the given order, before all others."
function reorder(mod::Value, fvars::Vector{Value}, order::Vector{Int})
    functions = Value[]
    for i in order
        push!(functions, fvars[i])
    end
    relink(functions, ccall(:LLVMGetFirstFunction, Value, (Value,), mod), :LLVMGetNextFunction)
end

"Leave only the compile units of the functions that are there, in their order, and no counters in linkage names."
function canonicalize_debug_info(piece::Value, functions::Vector{Value})
    units = ccall(:LLVMGetNamedMetadata, Value, (Value, Cstring, Csize_t), piece, "llvm.dbg.cu", 11)
    units == C_NULL && return nothing
    ccall(:_ZN4llvm11NamedMDNode13clearOperandsEv, Cvoid, (Value,), units)
    context = ccall(:LLVMGetModuleContext, Value, (Value,), piece)
    seen = address_set()
    for f in functions
        subprogram = ccall(:LLVMGetSubprogram, Value, (Value,), f)
        subprogram == C_NULL && continue
        name = value_name(f)
        text = ccall(:LLVMMDStringInContext2, Value, (Value, Cstring, Csize_t), context, name, sizeof(name))
        ccall(:_ZN4llvm6MDNode18replaceOperandWithEjPNS_8MetadataE, Cvoid, (Value, Cuint, Value), subprogram, 3, text)
        unit = node_operand(subprogram, 5)
        unit == C_NULL || insert_address!(seen, unit) && ccall(:_ZN4llvm11NamedMDNode10addOperandEPNS_6MDNodeE, Cvoid, (Value, Value), units, unit)
    end
    return nothing
end

"""
Operand `i` of metadata node `node`. The operands lie before the node (llvm/IR/Metadata.h, MDNode::op_begin), 8 bytes each; the node's
first 16 bytes end with their number as u32 at offset 8.
"""
function node_operand(node::Value, i::Int)
    n = Int(unsafe_load(Ptr{UInt32}(node + 8)))
    return unsafe_load(Ptr{Value}(node), i - n + 1)
end

# A set of addresses: open addressing in a vector whose length is a power of two, 0 for a free place.

address_set() = Any[zeros(UInt, 1024), 0]

"Add `p` to the set; returns whether it was new."
function insert_address!(set::Vector{Any}, p::Value)
    places = set[1]::Vector{UInt}
    count = set[2]::Int
    if 2 * count > length(places)
        larger = zeros(UInt, 4 * length(places))
        for x in places
            x == 0 || (larger[free_place(larger, x)] = x)
        end
        set[1] = places = larger
    end
    i = free_place(places, UInt(p))
    places[i] == UInt(p) && return false
    places[i] = UInt(p)
    set[2] = count + 1
    return true
end

"The place of `x`, or the free one where it belongs."
function free_place(places::Vector{UInt}, x::UInt)
    mask = length(places) - 1
    i = Int((x * 0x9e3779b97f4a7c15) >> 32) & mask
    while places[i + 1] != 0 && places[i + 1] != x
        i = (i + 1) & mask
    end
    return i + 1
end
