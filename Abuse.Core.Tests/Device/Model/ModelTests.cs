using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Random sequences through the device and through a reference that was written separately.</summary>
[TestFixture]
internal sealed class ModelTests
{
    private const int StepsAtLeast = 200;

    /// <summary>More for a long night: ABUSE_MODEL_RUNS=200000.</summary>
    private static readonly int Runs = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? runs : 3000;

    /// <summary>To replay: ABUSE_MODEL_SEED=the seed that a failure printed.</summary>
    private static readonly ulong Seed = ulong.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_SEED"), out ulong seed)
        ? seed
        : (ulong)Random.Shared.NextInt64();

    [Test]
    public void The_device_does_what_the_reference_does_in_every_random_sequence()
    {
        TestContext.Out.WriteLine($"seed {Seed}, {Runs} runs; replay with ABUSE_MODEL_SEED={Seed}");
        Gen<ModelStep> step =
            from kind in Gen.Choose(0, 31)
            from a in Gen.Choose(0, 9999)
            from b in Gen.Choose(0, 9999)
            from c in Gen.Choose(0, 9999)
            select new ModelStep(kind, a, b, c);
        Gen<ModelStep[]> sequence =
            from length in Gen.Choose(StepsAtLeast, StepsAtLeast + 100)
            from steps in Gen.ArrayOf(step, length)
            select steps;
        int completions = 0;
        int longest = 0;
        Property property = Prop.ForAll(
            Arb.From(sequence, Shrink),
            steps =>
            {
                completions += Run(steps);
                longest = Math.Max(longest, steps.Length);
            });
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs).WithReplay(Seed, 1UL | 1), property);
        TestContext.Out.WriteLine($"{completions} bios completed");
        Assert.That(longest, Is.GreaterThanOrEqualTo(StepsAtLeast));
        Assert.That(completions, Is.GreaterThan(Runs * 10), "sequences that complete nothing test nothing");
    }

    private static int Run(ModelStep[] steps)
    {
        using var harness = new ModelHarness();
        foreach (ModelStep step in steps)
        {
            harness.Step(step);
        }

        harness.Finish();
        return harness.Completions;
    }

    /// <summary>Halves and quarters first, then single steps.</summary>
    private static IEnumerable<ModelStep[]> Shrink(ModelStep[] steps)
    {
        for (int part = steps.Length / 2; part >= 1; part /= 2)
        {
            for (int at = 0; at < steps.Length; at += part)
            {
                yield return [.. steps[..at], .. steps[Math.Min(at + part, steps.Length)..]];
            }
        }
    }
}
