namespace Abuse.Core;

/// <summary>
/// Chance that depends on nothing but what it is asked about: a decision is a hash of the seed and of what is decided, so that another
/// decision, made or not, shifts none.
/// </summary>
/// <remarks>The finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), applied for each word.</remarks>
internal static class SeededHash
{
    private const ulong Increment = 0x9E3779B97F4A7C15;

    internal static ulong Of(ulong seed, ulong a) => Mix(Mix(seed + Increment) ^ a);

    internal static ulong Of(ulong seed, ulong a, ulong b) => Mix(Of(seed, a) ^ Mix(b + Increment));

    /// <summary>A number from 0 to below <paramref name="bound"/>, all but equally likely: off by less than 2^-32.</summary>
    internal static uint Below(uint bound, ulong seed, ulong a) => (uint)Math.BigMul(Of(seed, a), bound, out _);

    /// <summary>Stands for a text: FNV-1a over its characters (Fowler, Noll, Vo), the same in every process.</summary>
    internal static ulong OfText(string text)
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (char character in text)
        {
            hash = (hash ^ character) * 0x100000001B3;
        }

        return hash;
    }

    private static ulong Mix(ulong value)
    {
        value += Increment;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
