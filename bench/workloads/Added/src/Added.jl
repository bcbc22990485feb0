"The least that can be added to an image: one function."
module Added

"How many steps the Collatz sequence takes from `n` to 1."
function steps(n::Int)
    count = 0
    while n != 1
        n = iseven(n) ? n >> 1 : 3n + 1
        count += 1
    end
    return count
end

end
