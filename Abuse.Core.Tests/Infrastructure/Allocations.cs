using System.Diagnostics;
using System.Reflection;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Counts what the whole process allocates, on every thread: with servers on other threads nothing less would do.</summary>
internal static class Allocations
{
    private static bool IsOptimized =>
        typeof(BlockClient).Assembly.GetCustomAttribute<DebuggableAttribute>() is not { IsJITOptimizerDisabled: true };

    /// <summary>
    /// Asserts that many rounds allocate nothing but a constant: what the runtime itself does meanwhile, and what a pool that never ran that
    /// full before adds once.
    /// </summary>
    /// <param name="run">Runs so many rounds.</param>
    /// <param name="rounds">How many.</param>
    /// <param name="awaits">Whether asynchronous methods of the library run: in a debug build their state machines are objects.</param>
    internal static async Task AssertNone(Func<int, Task> run, int rounds = 20_000, bool awaits = false)
    {
        Assume.That(!awaits || IsOptimized, "A release build is needed.");
        await run(rounds);
        long constant = Math.Max(16_384, rounds * 2L);

        // Several tries: something else in the process may allocate in one of them, never in all.
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 4 && least > constant; attempt++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            await run(rounds);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        TestContext.Out.WriteLine($"{least} bytes in {rounds} rounds");
        Assert.That(least, Is.LessThanOrEqualTo(constant), $"bytes in {rounds} rounds");
    }
}
