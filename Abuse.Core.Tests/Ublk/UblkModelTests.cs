using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Random lives of a disk against a simple model of its bytes and of how each request may end.</summary>
[TestFixture]
[CancelAfter(600_000)]
internal sealed class UblkModelTests
{
    /// <summary>More for a long night: ABUSE_MODEL_RUNS, of which each hundredth is one life here.</summary>
    private static readonly int Lives =
        int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? Math.Max(1, runs / 100) : 30;

    [Test]
    public async Task A_disk_does_what_its_model_does_in_every_random_life()
    {
        int seed = ContractSeed.Next();
        int requests = 0;
        int deaths = 0;
        for (int life = 0; life < Lives; life++)
        {
            var model = new UblkModel(seed + life);
            try
            {
                await model.LiveAsync();
                await model.DisposeAsync();
            }
            catch (Exception exception)
            {
                throw new ModelMismatchException($"Life {life} of seed {seed}: {exception}{Environment.NewLine}{model.Story}");
            }

            requests += model.Requests;
            deaths += model.Deaths;
        }

        TestContext.Out.WriteLine($"{requests} requests in {Lives} lives, {deaths} deaths of servers");
        Assert.That(requests, Is.GreaterThan(Lives * 50), "lives in which nothing happens test nothing");
        Assert.That(deaths, Is.GreaterThan(Lives / 4));
    }
}
