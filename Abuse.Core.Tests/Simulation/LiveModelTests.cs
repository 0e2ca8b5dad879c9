using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The model that disks are checked with finds what it is for.</summary>
[TestFixture]
internal sealed class LiveModelTests
{
    [Test]
    public void A_read_that_goes_back_to_an_older_write_has_no_order()
    {
        // A write is under way while two reads come, one after the other: the first shows it, the second does not.
        var model = new LiveModel(isVolatile: true);
        LiveModel.Op write = model.Begin(BioOp.Write, 0, 1, false);
        Read(model, 1);
        Read(model, 0);
        model.End(write, BioResult.Ok);
        Assert.That(() => model.Check("history"), Throws.TypeOf<AssertionException>().With.Message.Contains("no order"));
    }

    [Test]
    public void A_read_of_what_was_overwritten_before_it_is_wrong()
    {
        var model = new LiveModel(isVolatile: true);
        model.End(model.Begin(BioOp.Write, 0, 1, false), BioResult.Ok);
        Read(model, 0);
        Assert.That(() => model.Check("history"), Throws.TypeOf<AssertionException>().With.Message.Contains("a read of unit 0"));
    }

    [Test]
    public void A_crash_that_loses_what_a_flush_covered_is_wrong_and_one_that_loses_the_rest_is_not([Values] bool covered)
    {
        var model = new LiveModel(isVolatile: true);
        LiveModel.Op write = model.Begin(BioOp.Write, 0, 1, false);
        if (covered)
        {
            model.End(write, BioResult.Ok);
        }

        LiveModel.Op flush = model.Begin(BioOp.Flush, 0, 0, false);
        model.End(flush, BioResult.Ok);
        if (!covered)
        {
            model.End(write, BioResult.Ok);
        }

        model.Crash([0]);
        Assert.That(() => model.Check("history"), covered ? Throws.TypeOf<AssertionException>().With.Message.Contains("a crash at") : Throws.Nothing);
    }

    private static void Read(LiveModel model, int shows)
    {
        LiveModel.Op read = model.Begin(BioOp.Read, 0, 0, false);
        read.Write = shows;
        model.End(read, BioResult.Ok);
    }
}
