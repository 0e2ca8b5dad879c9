using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// The cases of eng/vm/guest, on real kernels: a guest is booted for each, runs them all, and each is a test here. Where no guest can be
/// had they are ignored, with the reason. Takes minutes: <c>dotnet test --filter TestCategory!=Kernel</c> leaves it out.
/// </summary>
/// <remarks>
/// ABUSE_KERNEL_SUITES says which kernels and how much, "bookworm-backports:full trixie-backports:smoke"; the newest kernel's smoke if it
/// doesn't. ABUSE_KERNEL_FILTER takes only cases whose name contains it, or one of several with commas between.
/// </remarks>
[TestFixture]
[Category("Kernel")]
[Parallelizable(ParallelScope.Self)]
internal sealed class KernelTests
{
    private const string NewestSmoke = "trixie-backports:smoke";

    private static readonly string Filter = Environment.GetEnvironmentVariable("ABUSE_KERNEL_FILTER") ?? "";

    private static readonly KernelRun[] Runs =
    [
        .. (Environment.GetEnvironmentVariable("ABUSE_KERNEL_SUITES") is { Length: > 0 } suites ? suites : NewestSmoke)
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(static word => word.Split(':'))
            .Select(static parts => new KernelRun(parts[0], parts.ElementAtOrDefault(1) ?? "smoke")),
    ];

    [OneTimeSetUp]
    public async Task RunGuests()
    {
        // One after the other: each takes the processors that there are.
        foreach (KernelRun run in Runs)
        {
            await run.RunAsync(Filter);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void On_a_real_kernel(string suite, string name)
    {
        KernelRun run = Available(suite);
        string? verdict = run.VerdictOf(name);
        Assert.That(verdict, Is.Not.Null, $"the guest said nothing of it; its end is {run.ExitCode}, its words are in {run.Log}");
        if (verdict!.StartsWith("skip ", StringComparison.Ordinal))
        {
            Assert.Ignore(verdict);
        }

        Assert.That(verdict, Does.StartWith("ok "), $"see {run.Log}");
    }

    [TestCaseSource(nameof(Suites))]
    public void The_guest_came_to_its_end_and_the_kernel_complained_of_nothing(string suite)
    {
        KernelRun run = Available(suite);

        // 1 is for cases that failed, which are their own tests.
        Assert.That(run.ExitCode, Is.Zero.Or.EqualTo(1), $"70: the kernel complained, 125: the guest died; see {run.Log}");
    }

    private static KernelRun Available(string suite)
    {
        KernelRun run = Runs.Single(run => run.Suite == suite);
        if (run.Unavailable is { } reason)
        {
            Assert.Ignore($"no guest can be had here: {reason}");
        }

        return run;
    }

    private static IEnumerable<string> Suites() => Runs.Select(static run => run.Suite);

    private static IEnumerable<TestCaseData> Cases()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "eng", "vm", "guest", "cases.txt"));
        return
            from run in Runs
            from line in lines
            let words = line.Split(' ')
            where (words[0] == "smoke" || run.Level == "full") && Filter.Split(',').Any(filter => words[1].Contains(filter, StringComparison.Ordinal))
            select new TestCaseData(run.Suite, words[1]);
    }
}
