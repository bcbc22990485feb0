# Builds a system image with PackageCompiler, if the active environment has it:
#
#     julia packagecompiler.jl PROJECT STATEMENTS IMAGE [PACKAGE...]
#
# Prints "not installed" and does nothing else if it has not.

if Base.find_package("PackageCompiler") === nothing
    println("not installed")
else
    using PackageCompiler
    PackageCompiler.create_sysimage(Symbol.(ARGS[4:end]);
        project = ARGS[1], precompile_statements_file = ARGS[2], sysimage_path = ARGS[3])
end
