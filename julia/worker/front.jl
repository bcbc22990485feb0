# The front worker: a Julia process on a live base that loads what is new, infers it, emits it and serialises the heap.
#
# It runs as `julia --output-o FILE --output-incremental=yes -J shim.so front.jl REQUEST`, or from a worker image as `… -e
# START REQUEST` (start_front.jl), where the shim has turned
# the process into one that generates a system image while the base's native code stays in use. The work is done by
# module ChainFront, which hangs from no other module: nothing of it may be left in the heap that is serialised.
# Docstrings are left out when the module is loaded, since Base.Docs would keep a reference to it.

let atdoc = Core.atdoc, front = Module(:ChainFront)
    Core.eval(front, :(undocumented(source, mod, text, definition) = Expr(:escape, definition)))
    Core.atdoc!(Core.eval(front, :undocumented))
    Base.include(front, joinpath(Base.@__DIR__, "front_main.jl"))
    Core.atdoc!(atdoc)
    Core.eval(front, :(main(ARGS[1], nothing)))
end
