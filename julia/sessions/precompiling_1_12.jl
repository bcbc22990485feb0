# What Julia 1.12 compiles when it precompiles a package: in the session that finds no cache, and in the process that makes one. Recorded by --trace-compile in
# both, under an image. Where another release names things otherwise, a line is without effect.
precompile(Tuple{FileWatching.Pidfile.var"##mkpidlock#8", Base.Pairs{Symbol, Integer, Nothing, NamedTuple{(:stale_age, :wait), Tuple{Int64, Bool}}}, typeof(FileWatching.Pidfile.mkpidlock), Base.var"#__require_prelocked##0#__require_prelocked##1"{Base.PkgId, String, Base.Dict{String, Int64}}, String, Int32})
precompile(Tuple{typeof(Core.kwcall), NamedTuple{(:reasons, :loadable_exts), Tuple{Base.Dict{String, Int64}, Nothing}}, typeof(Base.compilecache), Base.PkgId, String})
precompile(Tuple{typeof(Core.kwcall), NamedTuple{(:stderr, :stdout), Tuple{Base.IOStream, Base.PipeEndpoint}}, typeof(Base.pipeline), Base.Cmd})
