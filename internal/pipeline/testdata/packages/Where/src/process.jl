using Distributed, Random

const FOLDER = Sys.BINDIR
const LIBRARY = Sys.STDLIB
const PROCESSORS = Sys.CPU_THREADS
const TICKS = Sys.SC_CLK_TCK
const PROCESSOR = Sys.CPU_NAME
const TEXT = read(`echo started`, String)
const RANDOM = rand(UInt) != rand(UInt)
const SHUFFLED = sort!(shuffle(collect(1:9))) == 1:9
const SMALLEST = nextfloat(big"0.0")
const PATHS = copy(LOAD_PATH), Base.load_path()
const DEPOTS = copy(DEPOT_PATH)
const PROJECT = Base.active_project()
const VARIABLE = ENV["KINDS"]
const HERE = pwd()
const DIGITS = precision(BigFloat)
const THREADS = Threads.nthreads()
