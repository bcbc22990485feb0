using Orbits
using Dates
using LinearAlgebra
using Test

const earth = body(:earth)
const station = Elements(; a = 6790.0, e = 0.001, inclination = deg2rad(51.6), node = 1.0, periapsis = 2.0, anomaly = 0.5)

message(f) =
    try
        f()
        "no error"
    catch e
        sprint(showerror, e)
    end

@testset "Orbits" begin
    @testset "vectors" begin
        v = Vec3(1, 2.0, 2)
        @test v isa Vec3{Float64}
        @test norm(v) == 3
        @test cross(Vec3(1, 0, 0), Vec3(0, 1, 0)) == Vec3(0, 0, 1)
        @test v .+ 1 == [2, 3, 3]
        @test sum(v) == 5
        @test_throws BoundsError v[4]
        @test Orbits.rotate_z(Vec3(1.0, 0, 0), π / 2) ≈ Vec3(0, 1, 0)
        @test Vec3{Float32}(v) == v
    end

    @testset "bodies" begin
        @test body("Earth") === earth
        @test occursin("known are earth, jupiter", message(() -> body(:pluto)))
        Bodies.register!(Body("pluto", 869.6, 1188.3))
        @test body(:pluto).j2 == 0
        delete!(Bodies.registered, :pluto)
    end

    @testset "Kepler's equation, $T" for T in (Float32, Float64, BigFloat)
        for e in T[0, 0.1, 0.5, 0.95], M in T[0, 0.3, 2, 6]
            E = solve_kepler(M, e; tolerance = 16eps(T))
            @test E - e * sin(E) ≈ M atol = 100eps(T)
        end
    end
    @test occursin("did not converge in 1 iterations", message(() -> solve_kepler(1, 0.9; iterations = 1)))

    @testset "elements and state" begin
        for e in (0.001, 0.3, 0.9), i in (0.2, 1.5, 3.0), M in 0.1:1.7:6
            el = Elements(20000.0, e, i, 1.0, 2.0, M)
            back = elements(state(el, earth), earth)
            for field in fieldnames(Elements)
                @test getfield(back, field) ≈ getfield(el, field) rtol = 1e-7
            end
        end
        @test period(station, earth) ≈ 5568 rtol = 1e-3
        @test_throws InvalidElements Elements(; a = -1.0)
        @test occursin("allowed is from 0 to less than 1", message(() -> Elements(; a = 7000, e = 1.5)))
        @test occursin("i =   51.600°", sprint(show, MIME("text/plain"), station))
    end

    @testset "propagation" begin
        s = state(station, earth)
        once = propagate(TwoBody(earth), s, period(station, earth))
        @test once.position ≈ s.position rtol = 1e-6
        numerical = Numerical(central(earth); tolerance = 1e-11)
        for seconds in (100.0, 3000.0, -2000.0)
            @test propagate(numerical, s, seconds).position ≈ propagate(TwoBody(earth), s, seconds).position rtol = 1e-7
        end
        # The node moves west by about 5 degrees a day, and drag lowers the orbit.
        day = 86400.0
        flat = Numerical(combine(central(earth), oblateness(earth)))
        @test rad2deg(elements(propagate(flat, s, day), earth).node - station.node) ≈ -5 atol = 0.1
        braked = Numerical(combine(central(earth), drag(earth; ballistic = 1e-11, density = 1e5, scale_height = 60.0)))
        @test elements(propagate(braked, s, 6000), earth).a < station.a
        @test occursin("fell to", message(() -> propagate(Numerical((t, s) -> s.position * (t < 5 ? 0.0 : 1e300)), s, 100)))
        @test_throws ArgumentError trajectory(TwoBody(earth), s; duration = 10, points = 1)
    end

    @testset "ephemeris" begin
        s = state(station, earth)
        table = ephemeris(TwoBody(earth), s; duration = 7200, pieces = 6)
        @test length(table) == length(collect(table)) == 6
        for t in 0:450:7200
            @test position_at(table, t) ≈ propagate(TwoBody(earth), s, t).position rtol = 1e-7
        end
        @test_throws DomainError position_at(table, 7201)
        @test string(table) == "Ephemeris of 6 pieces, 12 coefficients each, for 2.0 h"
    end

    @testset "tables" begin
        found = read_catalogue("# name\nstation earth 6790 0.001 51.6 57 114 28 # low\n\n")
        @test found["station"].elements.inclination == deg2rad(51.6)
        @test occursin("line 2: \"x\" is no number", message(() -> read_catalogue("\na earth 1 x 0 0 0 0")))
        @test occursin("7 words instead of 8", message(() -> read_catalogue("a earth 1 0 0 0 0")))
        track = trajectory(TwoBody(earth), state(station, earth); duration = 60, points = 3)
        lines = split(chomp(Orbits.table(track; epoch = DateTime(2020, 1, 1))), '\n')
        @test length(lines) == 4
        @test startswith(lines[4], "2020-01-01 00:01:00")
        @test all(length(line) == length(lines[1]) for line in lines)
        @test Orbits.LOADED[] <= now(UTC)
    end
end
