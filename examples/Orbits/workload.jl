# What somebody who works with Orbits does in one session, with everything
# printed: the output is the same under every system image.
#
#     julia --project=examples/Orbits examples/Orbits/workload.jl

using Orbits, Dates

# Printing goes through a buffer: which methods print then does not depend on
# whether the output is a terminal, a pipe or a file.
const out = IOBuffer()

catalogue = read_catalogue("""
    # name    body   a/km    e       i      Ω      ω      M
    station   earth  6790    0.0012  51.64  57.3   114.6  28.7   # low and round
    lookout   earth  26560   0.72    63.4   250    270    10     # long over the north
    surveyor  mars   3775    0.011   92.9   100    270    45
    """)

for name in sort!(collect(keys(catalogue)))
    around, orbit = catalogue[name]
    println(out, name, " around ", around, ", period ", round(period(orbit, around); digits = 1), " s")
    show(out, MIME("text/plain"), orbit)
    println(out, "\n  ", state(orbit, around))
end

earth = body(:earth)
start = state(catalogue["station"].elements, earth)

println(out, "\nTwo bodies, one revolution in five steps")
write_table(out, trajectory(TwoBody(earth), start; duration = 5561, points = 5); epoch = DateTime(2021, 3, 4, 5))

println(out, "\nWith the Earth's flattening and an atmosphere")
forces = combine(central(earth), oblateness(earth), drag(earth; ballistic = 1e-11, density = 1e5, scale_height = 60.0))
perturbed = Numerical(forces; tolerance = 1e-10)
track = trajectory(perturbed, start; duration = 21600, points = 4)
print(out, table(track; epoch = DateTime(2021, 3, 4, 5), columns = (:time, :x, :y, :z)))
show(out, MIME("text/plain"), elements(last(track)[2], earth))
println(out)

println(out, "\nLooked up in an ephemeris")
lookout = catalogue["lookout"]
quick = ephemeris(Numerical(central(earth)), state(lookout.elements, earth); duration = 43000, pieces = 24, order = Val(16))
println(out, quick)
for hour in 0:3:9
    println(out, "  ", hour, " h: ", position_at(quick, 3600hour))
end

println(out, "\nIn single precision")
small = Elements{Float32}(7000, 0.01, 0.5, 1, 2, 3)
println(out, elements(state(small, Body("earth", 398600.4f0, 6378.137f0)), Body("earth", 398600.4f0, 6378.137f0)) isa Elements{Float32})

println(out, "\nWhat is refused")
for attempt in (
    :(body(:vulcan)),
    :(Elements(; a = 7000, e = 1.2)),
    :(solve_kepler(1.0, 0.99; iterations = 2)),
    :(read_catalogue("probe earth 7000 low 0 0 0 0")),
    :(position_at(quick, 50000)),
)
    try
        eval(attempt)
    catch err
        println(out, "  ", attempt, "\n    ", typeof(err), ": ", sprint(showerror, err))
    end
end

write(stdout, take!(out))
