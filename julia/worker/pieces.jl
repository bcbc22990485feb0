# The module of a partition, in canonical form: bitcode that is the same, byte for byte, whenever the code is the same.
#
# What varies between builds is left behind: addresses decide about the order in which Julia emits functions, counters are
# part of names. The definitions come in the order of their identity; all else that they refer to comes in the order in which it
# is first referred to, and both are named by their position:
#   dN  what the partition defines             xN  what another partition defines
#   gN  a slot, which the loader fills          bN  a function of the base
#   pN  a constant, private to the partition
# What is inside of a function has no name: Julia names results of instructions after cells, counter included.
# Names that the loader resolves (jl_apply_generic, memcpy, …) stay. What the others mean is in the partition's map, so it is no part
# of the code: an object fits wherever its names can be given a meaning of the same type.
#
# Nothing is copied but constants: blocks of code are moved into the new module and made to refer to what that declares.

const KIND_IMPORT = Ptr{Cvoid}(1)
const KIND_SLOT = Ptr{Cvoid}(2)
const KIND_BASE = Ptr{Cvoid}(3)

# LLVMValueKind (llvm-c/Core.h)
const FUNCTION, GLOBAL, EXPRESSION, ARRAY, STRUCT, VECTOR, METADATA = 5, 8, 10, 11, 12, 13, 22

value_kind(v::Value) = ccall(:LLVMGetValueKind, Cint, (Value,), v)
is_function(v::Value) = value_kind(v) == FUNCTION

"""
    make_piece(mod, members, shared)

A new module that defines `members`, functions and globals of `mod` whose definitions move there. `shared` knows the kind of each value
of `mod` that partitions share. Returns the module and the text of its map.
"""
function make_piece(mod::Value, members::Vector{Value}, shared::Vector{Any})
    context = ccall(:LLVMGetModuleContext, Value, (Value,), mod)
    module_ = ccall(:LLVMModuleCreateWithNameInContext, Value, (Cstring, Value), "partition", context)
    ccall(:LLVMSetDataLayout, Cvoid, (Value, Cstring), module_, ccall(:LLVMGetDataLayoutStr, Cstring, (Value,), mod))
    ccall(:LLVMSetTarget, Cvoid, (Value, Cstring), module_, ccall(:LLVMGetTarget, Cstring, (Value,), mod))
    copy_module_flags(mod, module_)
    # module, context, old value => new value, shared, map, counters
    piece = Any[module_, context, address_map(), shared, IOBuffer(), Dict{String,Any}()]
    added = Value[]
    for old in members
        name = next_name(piece, "d", old)
        new = is_function(old) ? declare_function(module_, old, name) : declare_global(module_, old, name)
        share(new)
        insert_address!(piece[3]::Vector{Any}, old, new)
        push!(added, new)
    end
    units = ccall(:LLVMGetOrInsertNamedMetadata, Value, (Value, Cstring, Csize_t), module_, "llvm.dbg.cu", 11)
    seen = address_map()
    for i in 1:length(members)
        if is_function(members[i])
            move_body(piece, members[i], added[i])
            move_debug_info(context, members[i], added[i], units, seen)
        else
            ccall(:LLVMSetInitializer, Cvoid, (Value, Value), added[i], adopt(piece, ccall(:LLVMGetInitializer, Value, (Value,), members[i])))
        end
    end
    return module_, take!(piece[5]::IOBuffer)
end

"Make `v` visible to the other partitions and to nobody else."
function share(v::Value)
    ccall(:LLVMSetLinkage, Cvoid, (Value, Cint), v, 0)    # external
    ccall(:LLVMSetVisibility, Cvoid, (Value, Cint), v, 1) # hidden
end

"The next name of kind `prefix`; the map says that it stands for `old`."
function next_name(piece::Vector{Any}, prefix::String, old::Value)
    counters = piece[6]::Dict{String,Any}
    n = get(counters, prefix, 0)::Int
    counters[prefix] = n + 1
    name = string(prefix, n)
    prefix == "p" || write(piece[5]::IOBuffer, name, "\t", value_name(old), "\n")
    return name
end

function declare_global(module_::Value, old::Value, name::String)
    type = ccall(:LLVMGlobalGetValueType, Value, (Value,), old)
    space = ccall(:LLVMGetPointerAddressSpace, Cuint, (Value,), ccall(:LLVMTypeOf, Value, (Value,), old))
    new = ccall(:LLVMAddGlobalInAddressSpace, Value, (Value, Value, Cstring, Cuint), module_, type, name, space)
    ccall(:_ZN4llvm14GlobalVariable18copyAttributesFromEPKS0_, Cvoid, (Value, Value), new, old)
    ccall(:LLVMSetGlobalConstant, Cvoid, (Value, Cint), new, ccall(:LLVMIsGlobalConstant, Cint, (Value,), old))
    return new
end

"Move the code of `old` to `new`, a declaration of the same type, and make it refer to the new module's values."
function move_body(piece::Vector{Any}, old::Value, new::Value)
    for i in 0:Int(ccall(:LLVMCountParams, Cuint, (Value,), old)) - 1
        to = ccall(:LLVMGetParam, Value, (Value, Cuint), new, i)
        from = ccall(:LLVMGetParam, Value, (Value, Cuint), old, i)
        ccall(:LLVMReplaceAllUsesWith, Cvoid, (Value, Value), from, to)
    end
    # A block can only be moved to where another one is.
    place = ccall(:LLVMAppendBasicBlockInContext, Value, (Value, Value, Cstring), piece[2]::Value, new, "")
    block = ccall(:LLVMGetFirstBasicBlock, Value, (Value,), old)
    while block != C_NULL
        next = ccall(:LLVMGetNextBasicBlock, Value, (Value,), block)
        remove_name(block)
        adopt_operands(piece, block)
        ccall(:LLVMMoveBasicBlockBefore, Cvoid, (Value, Value), block, place)
        block = next
    end
    ccall(:LLVMDeleteBasicBlock, Cvoid, (Value,), place)
    return nothing
end

remove_name(v::Value) = ccall(:LLVMSetValueName2, Cvoid, (Value, Ptr{UInt8}, Csize_t), v, C_NULL, 0)

"Make the instructions of a block refer to the new module's values."
function adopt_operands(piece::Vector{Any}, block::Value)
    instruction = ccall(:LLVMGetFirstInstruction, Value, (Value,), block)
    while instruction != C_NULL
        remove_name(instruction)
        for i in 0:Int(ccall(:LLVMGetNumOperands, Cint, (Value,), instruction)) - 1
            operand = ccall(:LLVMGetOperand, Value, (Value, Cuint), instruction, i)
            new = adopt(piece, operand)
            new == operand || ccall(:LLVMSetOperand, Cvoid, (Value, Cuint, Value), instruction, i, new)
        end
        instruction = ccall(:LLVMGetNextInstruction, Value, (Value,), instruction)
    end
    return nothing
end

"What stands for value `v` of the old module in the new one: `v` itself, unless it is a global or made of one."
function adopt(piece::Vector{Any}, v::Value)
    v == C_NULL && return v
    kind = value_kind(v)
    if kind == FUNCTION || kind == GLOBAL
        known = find_address(piece[3]::Vector{Any}, v)
        return known == C_NULL ? import_global(piece, v, kind == FUNCTION) : known
    elseif EXPRESSION <= kind <= VECTOR
        return adopt_constant(piece, v, Int(kind))
    elseif kind == METADATA && ccall(:LLVMIsAMDNode, Value, (Value,), v) == C_NULL && ccall(:LLVMIsAMDString, Value, (Value,), v) == C_NULL
        return adopt_metadata(piece, v)
    end
    return v
end

function adopt_constant(piece::Vector{Any}, v::Value, kind::Int)
    n = Int(ccall(:LLVMGetNumOperands, Cint, (Value,), v))
    parts = Vector{Value}(undef, n)
    changed = false
    for i in 1:n
        part = ccall(:LLVMGetOperand, Value, (Value, Cuint), v, i - 1)
        parts[i] = adopt(piece, part)
        changed |= parts[i] != part
    end
    changed || return v
    type = ccall(:LLVMTypeOf, Value, (Value,), v)
    if kind == ARRAY
        return ccall(:LLVMConstArray, Value, (Value, Ptr{Value}, Cuint), ccall(:LLVMGetElementType, Value, (Value,), type), parts, n)
    elseif kind == STRUCT
        return ccall(:LLVMConstNamedStruct, Value, (Value, Ptr{Value}, Cuint), type, parts, n)
    elseif kind == VECTOR
        return ccall(:LLVMConstVector, Value, (Ptr{Value}, Cuint), parts, n)
    end
    # ConstantExpr::getWithOperands(ArrayRef<Constant*>, Type*, bool OnlyIfReduced, Type *SrcTy); an ArrayRef is passed as its two words.
    return GC.@preserve parts ccall(:_ZNK4llvm12ConstantExpr15getWithOperandsENS_8ArrayRefIPNS_8ConstantEEEPNS_4TypeEbS6_, Value,
        (Value, Ptr{Value}, Csize_t, Value, Bool, Value), v, pointer(parts), n, type, false, C_NULL)
end

"A value wrapped as metadata, as debug information has it for variables."
function adopt_metadata(piece::Vector{Any}, v::Value)
    ccall(:LLVMGetMDNodeNumOperands, Cuint, (Value,), v) == 1 || return v
    inner = Ref{Value}(C_NULL)
    ccall(:LLVMGetMDNodeOperands, Cvoid, (Value, Ptr{Value}), v, inner)
    (inner[] == C_NULL || value_kind(inner[]) > VECTOR) && return v
    new = adopt(piece, inner[])
    new == inner[] && return v
    return ccall(:LLVMMetadataAsValue, Value, (Value, Value), piece[2]::Value, ccall(:LLVMValueAsMetadata, Value, (Value,), new))
end

"Declare global `old` in the new module; a constant is copied."
function import_global(piece::Vector{Any}, old::Value, is_function::Bool)
    module_ = piece[1]::Value
    kind = find_address(piece[4]::Vector{Any}, old)
    own = kind == C_NULL && ccall(:LLVMIsDeclaration, Cint, (Value,), old) == 0
    name = kind == KIND_SLOT ? next_name(piece, "g", old) : kind == KIND_BASE ? next_name(piece, "b", old) :
        kind == KIND_IMPORT ? next_name(piece, "x", old) : own ? next_name(piece, "p", old) : value_name(old)
    new = is_function ? declare_function(module_, old, name) : declare_global(module_, old, name)
    insert_address!(piece[3]::Vector{Any}, old, new)
    if own
        ccall(:LLVMSetLinkage, Cvoid, (Value, Cint), new, 9) # private
        ccall(:LLVMSetInitializer, Cvoid, (Value, Value), new, adopt(piece, ccall(:LLVMGetInitializer, Value, (Value,), old)))
    elseif kind != C_NULL
        share(new)
    end
    return new
end

function copy_module_flags(from::Value, to::Value)
    n = Int(ccall(:LLVMGetNamedMetadataNumOperands, Cuint, (Value, Cstring), from, "llvm.module.flags"))
    n == 0 && return nothing
    flags = Vector{Value}(undef, n)
    ccall(:LLVMGetNamedMetadataOperands, Cvoid, (Value, Cstring, Ptr{Value}), from, "llvm.module.flags", flags)
    for flag in flags
        ccall(:LLVMAddNamedMetadataOperand, Cvoid, (Value, Cstring, Value), to, "llvm.module.flags", flag)
    end
    return nothing
end

"Give `new` the debug information of `old`, without the counter in its linkage name, and list its compile unit."
function move_debug_info(context::Value, old::Value, new::Value, units::Value, seen::Vector{Any})
    subprogram = ccall(:LLVMGetSubprogram, Value, (Value,), old)
    subprogram == C_NULL && return nothing
    ccall(:LLVMSetSubprogram, Cvoid, (Value, Value), new, subprogram)
    # Operands of a DISubprogram (llvm/IR/DebugInfoMetadata.h): 3 is the linkage name, 5 the compile unit.
    name = value_name(new)
    text = ccall(:LLVMMDStringInContext2, Value, (Value, Cstring, Csize_t), context, name, sizeof(name))
    ccall(:_ZN4llvm6MDNode18replaceOperandWithEjPNS_8MetadataE, Cvoid, (Value, Cuint, Value), subprogram, 3, text)
    unit = node_operand(context, subprogram, 5)
    if unit != C_NULL && insert_address!(seen, unit, unit)
        ccall(:_ZN4llvm11NamedMDNode10addOperandEPNS_6MDNodeE, Cvoid, (Value, Value), units, unit)
    end
    return nothing
end

# A map from addresses to addresses: open addressing in vectors whose length is a power of two, 0 for a free place.

address_map() = Any[zeros(UInt, 256), Vector{Value}(undef, 256), 0]

"Map `p` to `value` unless it is mapped already; returns whether it was new."
function insert_address!(map::Vector{Any}, p::Value, value::Value)
    keys = map[1]::Vector{UInt}
    values = map[2]::Vector{Value}
    count = map[3]::Int
    if 2 * count > length(keys)
        more_keys = zeros(UInt, 4 * length(keys))
        more_values = Vector{Value}(undef, 4 * length(keys))
        for i in 1:length(keys)
            keys[i] == 0 && continue
            j = place_of(more_keys, keys[i])
            more_keys[j] = keys[i]
            more_values[j] = values[i]
        end
        map[1] = keys = more_keys
        map[2] = values = more_values
    end
    i = place_of(keys, UInt(p))
    keys[i] == UInt(p) && return false
    keys[i] = UInt(p)
    values[i] = value
    map[3] = count + 1
    return true
end

"What `p` is mapped to, or C_NULL."
function find_address(map::Vector{Any}, p::Value)
    keys = map[1]::Vector{UInt}
    i = place_of(keys, UInt(p))
    return keys[i] == UInt(p) ? (map[2]::Vector{Value})[i] : C_NULL
end

"The place of `x`, or the free one where it belongs."
function place_of(keys::Vector{UInt}, x::UInt)
    mask = length(keys) - 1
    i = Int((x * 0x9e3779b97f4a7c15) >> 32) & mask
    while keys[i + 1] != 0 && keys[i + 1] != x
        i = (i + 1) & mask
    end
    return i + 1
end
